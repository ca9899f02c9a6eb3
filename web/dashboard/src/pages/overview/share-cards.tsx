import { BarList, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import type { Schemas } from '../../api/client';
import type { Series } from '../../api/prometheus';
import { seriesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { count, dollars, percent } from '../../lib/format';
import { largest, requestsByTask, savingsByPhase } from './figures';

interface Amount {
  name: string;
  amount: number;
}

function Shares({ label, rows, text, nothing }: { label: string; rows: readonly Amount[]; text: (amount: number) => string; nothing: string }) {
  const all = rows.reduce((sum, row) => sum + row.amount, 0);
  if (all <= 0) return <p className="py-6 text-center text-sm text-ink-3">{nothing}</p>;
  return <BarList label={label} rows={rows.map((row) => ({ ...row, text: text(row.amount), share: percent(row.amount / all) }))} />;
}

const kMostCauses = 5;
const kMostTasks = 4;

/** A card over the Prometheus series: loading and failing without taking the page along. */
function useSeriesCard(draw: (series: Series) => ReactNode): ReactNode {
  const series = useQuery(seriesQuery);
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

export function SavingsCard({ metrics }: { metrics: Schemas['MetricsReply'] }) {
  const body = useSeriesCard((series) => (
    <Shares
      label="Money by where it went"
      rows={largest([...savingsByPhase(series), { name: 'Paid to vendors', amount: metrics.total_cost }], kMostCauses)}
      text={dollars}
      nothing="Nothing was paid or saved yet."
    />
  ));
  return (
    <SectionCard
      title="Where the money went"
      note={`Of ${dollars(metrics.gpt4_equivalent_cost)} that the baseline model would have cost.`}
    >
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
    <Shares label="Requests by task" rows={largest(requestsByTask(series), kMostTasks)} text={count} nothing="No task was detected yet." />
  ));
  return (
    <SectionCard title="Tasks" note={modes ? `Routing: ${modes}` : 'What the requests asked for.'}>
      {body}
    </SectionCard>
  );
}
