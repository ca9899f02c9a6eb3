import { BarList, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '../../api/client';
import { seriesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { count, dollars, percent } from '../../lib/format';
import { requestsByTask, savingsByPhase } from './figures';

interface Amount {
  name: string;
  amount: number;
}

function Shares({ label, rows, text, nothing }: { label: string; rows: readonly Amount[]; text: (amount: number) => string; nothing: string }) {
  const all = rows.reduce((sum, row) => sum + row.amount, 0);
  if (all <= 0) return <p className="py-6 text-center text-sm text-ink-3">{nothing}</p>;
  return <BarList label={label} rows={rows.map((row) => ({ ...row, text: text(row.amount), share: percent(row.amount / all) }))} />;
}

/** A card over the Prometheus series: loading and failing without taking the page along. */
function useSeriesCard(draw: (series: NonNullable<ReturnType<typeof useSeries>['data']>) => React.ReactNode) {
  const series = useSeries();
  if (series.data) return draw(series.data);
  if (series.isError) {
    return (
      <Failure
        title="The distributions could not be loaded"
        error={series.error}
        onRetry={() => void series.refetch()}
        retrying={series.isFetching}
      />
    );
  }
  return <SkeletonRows rows={3} />;
}

const useSeries = () => useQuery(seriesQuery);

export function SavingsCard() {
  const body = useSeriesCard((series) => (
    <Shares label="Savings by cause" rows={savingsByPhase(series)} text={dollars} nothing="Nothing was saved yet." />
  ));
  return (
    <SectionCard title="What saved the money" note="Against asking the baseline model each time.">
      {body}
    </SectionCard>
  );
}

export function TasksCard({ metrics }: { metrics: Schemas['MetricsReply'] }) {
  const modes = Object.entries(metrics.mode_distribution)
    .sort(([, a], [, b]) => b - a)
    .map(([mode, requests]) => `${mode} ${count(requests)}`)
    .join(' · ');
  const body = useSeriesCard((series) => (
    <Shares label="Requests by task" rows={requestsByTask(series)} text={count} nothing="No task was detected yet." />
  ));
  return (
    <SectionCard title="Tasks" note={modes ? `Routing: ${modes}` : 'What the requests asked for.'}>
      {body}
    </SectionCard>
  );
}
