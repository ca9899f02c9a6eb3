/** How the figures of anomalies and alerts are written. */
import type { Tone } from '@asahi/ui';

import type { Schemas } from '../../api/client';
import { count, dollars, milliseconds, percent } from '../../lib/format';

interface Metric {
  label: string;
  show: (value: number) => string;
}

const kMetrics: Record<string, Metric> = {
  cost_per_request: { label: 'Cost per request', show: dollars },
  latency_p95_ms: { label: 'Latency, 95th percentile', show: milliseconds },
  error_rate: { label: 'Share of errors', show: percent },
  cache_hit_rate: { label: 'Share of cache hits', show: percent },
  quality_score: { label: 'Quality', show: (value) => `${value.toFixed(2)} of 5` },
};

const plain = (value: number): string => (Number.isInteger(value) ? count(value) : value.toPrecision(3));

export const metricOf = (name: string): Metric => kMetrics[name] ?? { label: name.replaceAll('_', ' '), show: plain };

/** "+638%"; an infinite or absent change says nothing. */
export function deviation(pct: number): string {
  if (!Number.isFinite(pct) || pct === 0) return '';
  return `${pct > 0 ? '+' : '−'}${count(Math.abs(pct))}%`;
}

export const severityTones: Record<Schemas['AlertSeverity'] | Schemas['Anomaly']['severity'], Tone> = {
  critical: 'bad',
  high: 'warn',
  warning: 'warn',
  medium: 'info',
  low: 'neutral',
};
