/** The overview's figures out of the two faces of GET /metrics. Pure: replies in, rows out. */
import type { Schemas } from '../../api/client';
import { quantile, total, totalsBy, type Quantile, type Series } from '../../api/prometheus';
import { milliseconds } from '../../lib/format';

type Metrics = Schemas['MetricsReply'];

export interface ModelRow {
  name: string;
  provider: string;
  requests: number;
  hits: number;
  cost: number;
  /** Of vendor calls; absent when the model answered only from the cache. */
  p50?: Quantile | undefined;
  p95?: Quantile | undefined;
}

export interface ProviderRow {
  name: string;
  models: number;
  requests: number;
  hits: number;
  cost: number;
}

export interface Tokens {
  input: number;
  output: number;
  /** Estimate: hits times the average of a vendor call. Undefined before the first call. */
  saved: number | undefined;
  perCall: number;
}

const isHit = (labels: Readonly<Record<string, string>>): boolean => (labels['cache_tier'] ?? '0') !== '0';

export function modelRows(metrics: Metrics, series: Series | undefined, providers: ReadonlyMap<string, string>): ModelRow[] {
  const hits = series ? totalsBy(series, 'asahi_requests_total', 'model', isHit) : new Map<string, number>();
  const names = new Set([...Object.keys(metrics.requests_by_model), ...Object.keys(metrics.cost_by_model)]);
  return [...names].map((name) => {
    const ofModel = (labels: Readonly<Record<string, string>>) => labels['model'] === name;
    return {
      name,
      provider: providers.get(name) ?? '',
      requests: metrics.requests_by_model[name] ?? 0,
      hits: hits.get(name) ?? 0,
      cost: metrics.cost_by_model[name] ?? 0,
      p50: series && quantile(series, 'asahi_model_latency_seconds', 0.5, ofModel),
      p95: series && quantile(series, 'asahi_model_latency_seconds', 0.95, ofModel),
    };
  });
}

export function providerRows(models: readonly ModelRow[]): ProviderRow[] {
  const rows = new Map<string, ProviderRow>();
  for (const model of models) {
    const name = model.provider || 'unknown';
    const row = rows.get(name) ?? { name, models: 0, requests: 0, hits: 0, cost: 0 };
    row.models += 1;
    row.requests += model.requests;
    row.hits += model.hits;
    row.cost += model.cost;
    rows.set(name, row);
  }
  return [...rows.values()].sort((a, b) => b.requests - a.requests || a.name.localeCompare(b.name));
}

export function tokensOf(metrics: Metrics, series: Series): Tokens {
  const input = total(series, 'asahi_token_count_sum', (labels) => labels['direction'] === 'input');
  const output = total(series, 'asahi_token_count_sum', (labels) => labels['direction'] === 'output');
  const calls = total(series, 'asahi_token_count_count', (labels) => labels['direction'] === 'output');
  const hits = metrics.tier1_hits + metrics.tier2_hits + metrics.tier3_hits;
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

/** Answered requests by task. */
export const requestsByTask = (series: Series): { name: string; amount: number }[] =>
  [...totalsBy(series, 'asahi_requests_total', 'task_type', ({ status }) => status === 'success')].map(([task, amount]) => ({
    name: task || 'unknown',
    amount,
  }));

/** Dollars not spent, by what saved them. */
export const savingsByPhase = (series: Series): { name: string; amount: number }[] =>
  [...totalsBy(series, 'asahi_savings_dollars_total', 'phase')].map(([phase, amount]) => ({
    name: kPhases[phase] ?? phase,
    amount,
  }));

/** The `most` largest, the rest added up as one row. */
export function largest(rows: readonly { name: string; amount: number }[], most: number): { name: string; amount: number }[] {
  const sorted = [...rows].sort((a, b) => b.amount - a.amount);
  if (sorted.length <= most) return sorted;
  const rest = sorted.slice(most - 1);
  return [...sorted.slice(0, most - 1), { name: `${rest.length} others`, amount: rest.reduce((sum, row) => sum + row.amount, 0) }];
}
