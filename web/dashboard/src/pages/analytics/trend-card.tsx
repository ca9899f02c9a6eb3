import { Button, EmptyState } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChartSpline } from 'lucide-react';
import type { ReactNode } from 'react';

import { trendQuery, type Group, type Metric } from '../../api/analytics';
import type { Schemas } from '../../api/client';
import { Widget } from '../../app/widget';
import { TimeChart } from '../../charts/charts';
import { coloursOf } from '../../charts/colours';
import { pivot, topKeys, type Row, type Sample } from '../../charts/series';
import type { Buckets } from '../../lib/range';
import { keyName, kMetricTexts } from './metrics';

type Trend = Schemas['TrendsReply']['data'];
const kMostLines = 7;

interface TrendCardProps {
  title: string;
  note?: ReactNode;
  metric: Metric;
  group?: Group | undefined;
  buckets: Buckets;
  height?: number;
  className?: string;
}

const valueOf = (point: Trend['points'][number], mean: boolean): number | null => (mean && point.requests === 0 ? null : point.value);

/** A line for each of the largest keys. Sums of the others are one line; means cannot be added, so their lines are left out. */
function linesOf(trend: Trend, metric: Metric) {
  const mean = kMetricTexts[metric].mean ?? false;
  const samples: Sample[] = (trend.series ?? []).flatMap(({ key, points }) =>
    points.map((point) => ({ t: Date.parse(point.timestamp), key, value: valueOf(point, mean) })),
  );
  if (mean) {
    const keys = (trend.series ?? []).map(({ key }) => key).slice(0, kMostLines);
    const rows = new Map<number, Row>();
    for (const { t, key, value } of samples) {
      if (!keys.includes(key)) continue;
      const row = rows.get(t) ?? { t };
      row[key] = value;
      rows.set(t, row);
    }
    return { keys, rows: [...rows.values()].sort((a, b) => a.t - b.t) };
  }
  const { keys, rest } = topKeys(samples, kMostLines);
  const all = rest.size > 0 ? [...keys, 'other'] : keys;
  return { keys: all, rows: pivot(samples, keys, rest) };
}

function Lines({ trend, metric, group, step, title, height }: { trend: Trend; metric: Metric; group: Group | undefined; step: number; title: string; height: number }) {
  const text = kMetricTexts[metric];
  if (!group) {
    const rows = trend.points.map((point) => ({ t: Date.parse(point.timestamp), value: valueOf(point, text.mean ?? false) }));
    const line = { key: 'value', name: text.name, colour: 'var(--chart-1)', filled: true };
    return <TimeChart label={title} rows={rows} lines={[line]} step={step} whole={text.whole ?? false} format={text.short} exact={text.exact} height={height} />;
  }
  const { keys, rows } = linesOf(trend, metric);
  const colours = coloursOf(keys);
  const lines = keys.map((key) => ({ key, name: keyName(group, key), colour: colours.get(key) ?? '' }));
  return <TimeChart label={title} rows={rows} lines={lines} step={step} whole={text.whole ?? false} format={text.short} exact={text.exact} height={height} />;
}

/** One metric over time. */
export function TrendCard({ title, note, metric, group, buckets, height = 260, className }: TrendCardProps) {
  const trend = useQuery(trendQuery(buckets, { metric, group }));
  return (
    <Widget
      title={title}
      note={note}
      query={trend}
      failure="The trend could not be loaded"
      height={height + 40}
      {...(className ? { className } : {})}
      empty={({ points }) =>
        points.some(({ requests }) => requests > 0) ? undefined : (
          <EmptyState
            icon={ChartSpline}
            title="No request in this time"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            Choose a longer range, or send a request and watch it arrive.
          </EmptyState>
        )
      }
    >
      {(data) => <Lines trend={data} metric={metric} group={group} step={buckets.step} title={title} height={height} />}
    </Widget>
  );
}
