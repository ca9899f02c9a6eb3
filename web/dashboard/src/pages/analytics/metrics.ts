/** The metrics that can be followed, and how their values are said. */
import type { Group, Metric } from '../../api/analytics';
import { tierName } from '../../app/cache-mark';
import { count, countShort, dollars, dollarsShort, milliseconds, millisecondsShort, percent } from '../../lib/format';

interface MetricText {
  name: string;
  /** Beside the axis, and in full. */
  short: (value: number) => string;
  exact: (value: number) => string;
  /** A moment without requests has no value, rather than 0. */
  mean?: boolean;
  /** Adding up the points means something. */
  sums?: boolean;
  needs?: string;
  /** Counted in whole numbers. */
  whole?: boolean;
}

const share = (value: number): string => `${Number((value * 100).toPrecision(3))}%`;

export const kMetricTexts: Record<Metric, MetricText> = {
  cost: { name: 'Cost', short: dollarsShort, exact: dollars, sums: true, needs: 'view_cost' },
  savings: { name: 'Savings', short: dollarsShort, exact: dollars, sums: true, needs: 'view_cost' },
  requests: { name: 'Requests', short: countShort, exact: count, sums: true, whole: true },
  cache_hit_rate: { name: 'Cache hit rate', short: share, exact: percent, mean: true },
  latency: { name: 'Mean latency', short: millisecondsShort, exact: milliseconds, mean: true },
  latency_p95: { name: 'Latency p95', short: millisecondsShort, exact: milliseconds, mean: true },
  errors: { name: 'Failed requests', short: countShort, exact: count, sums: true, whole: true },
  error_rate: { name: 'Failure rate', short: share, exact: percent, mean: true },
  tokens: { name: 'Tokens', short: countShort, exact: count, sums: true, whole: true },
  quality: { name: 'Quality', short: (value) => value.toFixed(1), exact: (value) => value.toFixed(2), mean: true },
};

export const kGroupNames: Record<Group, string> = {
  model: 'Model',
  task_type: 'Task',
  user: 'User',
  tier: 'Cache tier',
  api_key: 'API key',
  provider: 'Provider',
};

/** A key as people say it. */
export function keyName(group: Group, key: string): string {
  if (key === 'other') return 'Others';
  if (key === '' || key === 'unknown') return group === 'model' ? 'None reached' : 'Unknown';
  if (group !== 'tier') return key;
  return key === '0' ? 'Not from the cache' : `${tierName(Number(key))} cache`;
}
