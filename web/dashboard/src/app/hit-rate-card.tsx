import { Button, EmptyState } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Repeat2 } from 'lucide-react';

import { cacheAnalyticsQuery } from '../api/analytics';
import { TimeChart } from '../charts/charts';
import { stepOf } from '../charts/series';
import { percent } from '../lib/format';
import { bucketsOf, rangeText, type Range } from '../lib/range';
import { Widget } from './widget';

const kLine = [{ key: 'rate', name: 'Hit rate', colour: 'var(--chart-1)', filled: true }];

/** Share of the look-ups that the cache answered, over time. */
export function HitRateCard({ range, className, title = 'Cache hit rate' }: { range: Range; className?: string; title?: string }) {
  const cache = useQuery(cacheAnalyticsQuery(range));
  return (
    <Widget
      title={title}
      note={`Share of look-ups that it answered, ${rangeText(range)}.`}
      query={cache}
      failure="The hit rate could not be loaded"
      height={280}
      {...(className ? { className } : {})}
      actions={cache.data && cache.data.lookups > 0 && <p className="text-xl leading-6 font-semibold text-ink tabular-nums">{percent(cache.data.overall_hit_rate)}</p>}
      empty={(data) =>
        data.lookups > 0 ? undefined : (
          <EmptyState
            icon={Repeat2}
            title="No look-up yet"
            action={
              <Button asChild>
                <Link to="/inference">Ask something twice</Link>
              </Button>
            }
          >
            The second time the same question is asked, the cache answers it for nothing.
          </EmptyState>
        )
      }
    >
      {({ series, granularity, overall_hit_rate }) => {
        const rows = series.map(({ timestamp, lookups, hit_rate }) => ({ t: Date.parse(timestamp), rate: lookups > 0 ? hit_rate : null }));
        const step = stepOf(rows.map(({ t }) => t), granularity === 'hour' ? 3_600_000 : bucketsOf(range, Date.now()).step);
        return (
          <TimeChart
            label={`Cache hit rate over time, ${percent(overall_hit_rate)} overall`}
            rows={rows}
            lines={kLine}
            step={step}
            share
            format={(value) => `${Math.round(value * 100)}%`}
            exact={percent}
          />
        );
      }}
    </Widget>
  );
}
