import { Badge, cx, EmptyState, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { CircleCheck } from 'lucide-react';

import type { Schemas } from '../../api/client';
import { anomaliesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { clockTime, dateTime } from '../../lib/format';
import { anomalySearch } from '../../lib/request-search';
import { deviation, metricOf, severityTones } from './figures';

function AnomalyRow({ anomaly }: { anomaly: Schemas['Anomaly'] }) {
  const metric = metricOf(anomaly.metric_name);
  const changed = deviation(anomaly.deviation_pct);
  const figures: [string, string][] = [
    ['now', metric.show(anomaly.current_value)],
    ['usual', metric.show(anomaly.expected_value)],
    ...(changed ? [['change', changed] as [string, string]] : []),
  ];
  return (
    <li className={cx('rounded-lg border border-l-4 border-line p-4', anomaly.severity === 'critical' ? 'border-l-bad' : 'border-l-warn')}>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Badge tone={severityTones[anomaly.severity]} dot>
          {anomaly.severity}
        </Badge>
        <h3 className="font-semibold text-ink">{metric.label}</h3>
        <time dateTime={anomaly.detected_at} className="text-xs text-ink-3 tabular-nums sm:ml-auto">
          {dateTime(anomaly.detected_at)}
        </time>
      </div>
      <dl className="mt-3 flex flex-wrap gap-x-8 gap-y-2">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt className="text-xs text-ink-3">{name}</dt>
            <dd className="text-lg font-semibold text-ink tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="mt-2 text-sm break-words text-ink-2">{anomaly.message}</p>
      <Link
        to="/requests"
        search={anomalySearch(anomaly.filter)}
        aria-label={`Requests behind it: ${metric.label}`}
        className="mt-2 inline-block text-sm font-medium text-accent-text underline-offset-4 hover:underline"
      >
        Requests behind it
      </Link>
    </li>
  );
}

/** What the last hour does otherwise than the day before it. */
export function AnomaliesCard() {
  const anomalies = useQuery(anomaliesQuery);
  const { data } = anomalies;
  return (
    <SectionCard
      title="Anomalies"
      note={data ? `The last hour against the 24 hours before it, looked at ${clockTime(new Date(data.checked_at).getTime())}.` : 'The last hour against the 24 hours before it.'}
    >
      {anomalies.isError && !data ? (
        <Failure title="The last hour could not be looked at" error={anomalies.error} onRetry={() => void anomalies.refetch()} retrying={anomalies.isFetching} />
      ) : !data ? (
        <SkeletonRows rows={3} />
      ) : data.data.length === 0 ? (
        <EmptyState icon={CircleCheck} title="Nothing unusual">
          Cost, latency, errors, cache hits and quality are as they were the day before.
        </EmptyState>
      ) : (
        <ul className="space-y-3">
          {data.data.map((anomaly) => (
            <AnomalyRow key={anomaly.anomaly_type} anomaly={anomaly} />
          ))}
        </ul>
      )}
    </SectionCard>
  );
}
