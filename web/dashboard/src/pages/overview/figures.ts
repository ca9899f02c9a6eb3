/**
 * The overview's figures out of the two faces of GET /metrics. Pure: replies in, rows out. The JSON totals are kept in the
 * database and go back to the first request ever; the Prometheus series begin anew with the process. No figure mixes them.
 */
import type { Schemas } from '../../api/client';
import { quantile, total, totalsBy, type Quantile, type Series } from '../../api/prometheus';
import { milliseconds } from '../../lib/format';

type Metrics = Schemas['MetricsReply'];

export interface ModelRow {
  name: string;
  provider: string;
  requests: number;
  cost: number;
  /** Since the last start: requests answered, and those of them from the cache. */
  recent: number;
  recentHits: number;
  /** Since the last start, of vendor calls; absent when the model answered only from the cache. */
  p50?: Quantile | undefined;
  p95?: Quantile | undefined;
}

export interface ProviderRow {
  name: string;
  models: number;
  requests: number;
  cost: number;
  recent: number;
  recentHits: number;
}

/** Since the last start. */
export interface Tokens {
  input: number;
  output: number;
  /** Estimate: hits times the average of a vendor call. Undefined before the first call. */
  saved: number | undefined;
  perCall: number;
}

const isAnswer = (labels: Readonly<Record<string, string>>): boolean => labels['status'] === 'success';
const isHit = (labels: Readonly<Record<string, string>>): boolean => (labels['cache_tier'] ?? '0') !== '0';

export function modelRows(metrics: Metrics, series: Series | undefined, providers: ReadonlyMap<string, string>): ModelRow[] {
  const recent = series && totalsBy(series, 'asahi_requests_total', 'model', isAnswer);
  const recentHits = series && totalsBy(series, 'asahi_requests_total', 'model', (labels) => isAnswer(labels) && isHit(labels));
  const names = new Set([...Object.keys(metrics.requests_by_model), ...Object.keys(metrics.cost_by_model)]);
  return [...names].map((name) => {
    const ofModel = (labels: Readonly<Record<string, string>>) => labels['model'] === name;
    return {
      name,
      provider: providers.get(name) ?? '',
      requests: metrics.requests_by_model[name] ?? 0,
      cost: metrics.cost_by_model[name] ?? 0,
      recent: recent?.get(name) ?? 0,
      recentHits: recentHits?.get(name) ?? 0,
      p50: series && quantile(series, 'asahi_model_latency_seconds', 0.5, ofModel),
      p95: series && quantile(series, 'asahi_model_latency_seconds', 0.95, ofModel),
    };
  });
}

export function providerRows(models: readonly ModelRow[]): ProviderRow[] {
  const rows = new Map<string, ProviderRow>();
  for (const model of models) {
    const name = model.provider || 'unknown';
    const row = rows.get(name) ?? { name, models: 0, requests: 0, cost: 0, recent: 0, recentHits: 0 };
    row.models += 1;
    row.requests += model.requests;
    row.cost += model.cost;
    row.recent += model.recent;
    row.recentHits += model.recentHits;
    rows.set(name, row);
  }
  return [...rows.values()].sort((a, b) => b.requests - a.requests || a.name.localeCompare(b.name));
}

export function tokensOf(series: Series): Tokens {
  const input = total(series, 'asahi_token_count_sum', (labels) => labels['direction'] === 'input');
  const output = total(series, 'asahi_token_count_sum', (labels) => labels['direction'] === 'output');
  const calls = total(series, 'asahi_token_count_count', (labels) => labels['direction'] === 'output');
  const hits = total(series, 'asahi_cache_hits_total');
  const perCall = calls > 0 ? (input + output) / calls : 0;
  return { input, output, perCall, saved: calls > 0 ? Math.round(hits * perCall) : undefined };
}

/** A quantile in seconds as text; `< 5.00 ms` where the histogram cannot say more. */
export function latencyText(latency: Quantile | undefined): string {
  if (!latency) return '–';
  const text = milliseconds(latency.value * 1000).replace(/\.00 ms$/, ' ms');
  return latency.side === 'below' ? `< ${text}` : latency.side === 'above' ? `> ${text}` : text;
}

const kPhases: Record<string, string> = {
  routing: 'Saved by a cheaper model',
  cache_t1: 'Saved by the exact cache',
  cache_t2: 'Saved by the semantic cache',
  cache_t3: 'Saved by the workflow cache',
};

/** Answered requests by task, since the last start. */
export const requestsByTask = (series: Series): { name: string; amount: number }[] =>
  [...totalsBy(series, 'asahi_requests_total', 'task_type', isAnswer)].map(([task, amount]) => ({
    name: task || 'unknown',
    amount,
  }));

/** Dollars since the last start: not spent, by what saved them, and paid. Their sum is the baseline model's price. */
export const moneyByCause = (series: Series): { name: string; amount: number }[] => [
  ...[...totalsBy(series, 'asahi_savings_dollars_total', 'phase')].map(([phase, amount]) => ({
    name: kPhases[phase] ?? phase,
    amount,
  })),
  { name: 'Paid to vendors', amount: total(series, 'asahi_cost_dollars_total') },
];

/** The `most` largest, the rest added up as one row. */
export function largest(rows: readonly { name: string; amount: number }[], most: number): { name: string; amount: number }[] {
  const sorted = [...rows].sort((a, b) => b.amount - a.amount);
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most - 1);
  return [...sorted.slice(0, most - 1), { name: `${rest.length} others`, amount: rest.reduce((sum, row) => sum + row.amount, 0) }];
}
