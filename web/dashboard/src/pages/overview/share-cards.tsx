import { BarList, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import type { Series } from '../../api/prometheus';
import { seriesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { count, dollars, percent } from '../../lib/format';
import { largest, requestsByTask, moneyByCause } from './figures';

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

export function SavingsCard() {
  const body = useSeriesCard((series) => (
    <Shares
      label="Money by where it went"
      rows={largest(moneyByCause(series), kMostCauses)}
      text={dollars}
      nothing="Nothing was paid or saved yet."
    />
  ));
  return (
    <SectionCard title="Where the money went" note="Of the baseline model’s price for the same requests, since the last start.">
      {body}
    </SectionCard>
  );
}

export function TasksCard() {
  const body = useSeriesCard((series) => (
    <Shares label="Requests by task" rows={largest(requestsByTask(series), kMostTasks)} text={count} nothing="No task was detected yet." />
  ));
  return (
    <SectionCard title="Tasks" note="What the requests asked for, since the last start.">
      {body}
    </SectionCard>
  );
}
