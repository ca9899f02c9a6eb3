import { Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Coins, Gauge, PiggyBank, Repeat2, Send, TimerReset, Waypoints, Zap } from 'lucide-react';

import type { Schemas } from '../../api/client';
import { meanOf, quantile, type Quantile } from '../../api/prometheus';
import { seriesQuery } from '../../api/queries';
import { count, countShort, dollars, milliseconds, percent } from '../../lib/format';
import { latencyText, tokensOf } from './figures';

const kUnknown = '–';

/** The eight figures of the page. `metrics` is undefined while loading. */
export function StatGrid({ metrics }: { metrics: Schemas['MetricsReply'] | undefined }) {
  const { data: series, isError } = useQuery(seriesQuery);
  const noSeries = isError && !series;
  const at = (q: number): Quantile | undefined => series && quantile(series, 'asahi_request_latency_seconds', q);
  const tokens = series && tokensOf(series);
  const lookups = metrics && metrics.tier1_hits + metrics.tier1_misses;
  const hits = metrics && metrics.tier1_hits + metrics.tier2_hits + metrics.tier3_hits;
  const mean = series && meanOf(series, 'asahi_request_latency_seconds');
  const fromSeries = (value: string | undefined) => (noSeries ? kUnknown : value);
  return (
    <div className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4">
      <Stat
        highlight
        label="Saved"
        icon={PiggyBank}
        value={metrics && dollars(metrics.absolute_savings)}
        note={metrics && `${percent(metrics.savings_percent / 100)} of ${dollars(metrics.gpt4_equivalent_cost)} at the baseline model`}
      />
      <Stat
        label="Spent"
        icon={Coins}
        value={metrics && dollars(metrics.total_cost)}
        note={metrics && `${dollars(metrics.total_cost / Math.max(1, metrics.total_requests))} per request`}
      />
      <Stat
        label="Requests"
        icon={Send}
        value={metrics && countShort(metrics.total_requests)}
        note={metrics && (metrics.errors === 0 ? 'None failed' : `${count(metrics.errors)} failed`)}
      />
      <Stat
        label="Cache hit rate"
        icon={Repeat2}
        value={metrics && percent(metrics.cache_hit_rate)}
        note={metrics && `${count(hits ?? 0)} of ${count(lookups ?? 0)} lookups`}
      />
      <Stat
        label="Latency p50"
        icon={Zap}
        value={fromSeries(series && latencyText(at(0.5)))}
        note={series && (mean === undefined ? 'Since the last start' : `Mean ${milliseconds(mean * 1000)}, since the last start`)}
      />
      <Stat
        label="Latency p95"
        icon={Gauge}
        value={fromSeries(series && latencyText(at(0.95)))}
        note="Whole requests, hits included"
      />
      <Stat
        label="Tokens used"
        icon={Waypoints}
        value={fromSeries(tokens && countShort(tokens.input + tokens.output))}
        note={tokens && `${countShort(tokens.input)} in, ${countShort(tokens.output)} out, since start`}
      />
      <Stat
        label="Tokens saved"
        icon={TimerReset}
        value={fromSeries(tokens && (tokens.saved === undefined ? kUnknown : `≈ ${countShort(tokens.saved)}`))}
        note={tokens && `Estimate: hits × ${countShort(Math.round(tokens.perCall))} per vendor call`}
      />
    </div>
  );
}
