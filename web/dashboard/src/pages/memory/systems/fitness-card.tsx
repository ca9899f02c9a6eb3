import { Badge, EmptyState, SectionCard, SkeletonRows, Table, Td, Th } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Gauge } from 'lucide-react';

import { ApiError } from '../../../api/errors';
import { fitnessQuery } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { count, dateTime, latencyOf, percent } from '../../../lib/format';

/** Who does well at which class of work, as the traces of components say. */
export function FitnessCard() {
  const { data, isError, error, refetch, isFetching } = useQuery(fitnessQuery);
  // It is about all systems: who sees some of them only is not told, and misses nothing.
  if (error instanceof ApiError && error.status === 403) return null;
  return (
    <SectionCard className="mt-4" title="Routing fitness" note={data ? `By class of work, from traces of the last ${count(data.window_minutes)} minutes` : isError ? 'Not loaded' : 'Loading'}>
      {isError && (
        <div className="mb-4">
          <Failure title={data ? 'Routing fitness could not be asked for again' : 'Routing fitness could not be loaded'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
        </div>
      )}
      {!data ? (
        !isError && <SkeletonRows rows={3} />
      ) : data.fitness.length === 0 ? (
        <EmptyState icon={Gauge} title="No figures yet">
          They come of the work that agents report, once a component is configured that tells of it.
        </EmptyState>
      ) : (
        <Table label="Routing fitness">
          <thead>
            <tr>
              <Th>Class</Th>
              <Th>Selector</Th>
              <Th numeric>Score</Th>
              <Th numeric>Failures</Th>
              <Th numeric>99th percentile</Th>
              <Th numeric>Samples</Th>
              <Th>As of</Th>
            </tr>
          </thead>
          <tbody>
            {data.fitness.map((one) => (
              <tr key={one.path} className="hover:bg-sunken/60">
                <Td className="whitespace-nowrap">{one.task_class}</Td>
                <Td className="max-w-56 min-w-32">
                  <span className="block truncate font-medium text-ink" title={one.selector}>
                    {one.selector}
                  </span>
                </Td>
                <Td numeric>{one.score.toFixed(3)}</Td>
                <Td numeric>{percent(one.failure_rate)}</Td>
                <Td numeric>{latencyOf(one.p99_latency_ms)}</Td>
                <Td numeric>{count(one.samples)}</Td>
                <Td className="whitespace-nowrap text-ink-2 tabular-nums">
                  {dateTime(one.computed_at)} {one.stale && <Badge tone="warn">stale</Badge>}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </SectionCard>
  );
}
