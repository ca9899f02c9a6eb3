/** Prometheus text exposition 0.0.4: what the dashboard needs of it, which is samples and quantiles of histograms. */

export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Samples by metric name. */
export type Series = ReadonlyMap<string, readonly Sample[]>;

const kLine = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$/;
const kLabel = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

const number = (text: string): number =>
  text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : text === 'NaN' ? NaN : Number(text);
const unescape = (text: string): string => text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));

export function parseExposition(text: string): Series {
  const series = new Map<string, Sample[]>();
  for (const line of text.split('\n')) {
    if (!line || line.startsWith('#')) continue;
    const match = kLine.exec(line);
    if (!match) continue;
    const [, name = '', labelText = '', value = ''] = match;
    const labels: Record<string, string> = {};
    for (const [, key = '', quoted = ''] of labelText.matchAll(kLabel)) labels[key] = unescape(quoted);
    const samples = series.get(name) ?? [];
    samples.push({ labels, value: number(value) });
    series.set(name, samples);
  }
  return series;
}

type Filter = (labels: Sample['labels']) => boolean;

export function total(series: Series, name: string, filter: Filter = () => true): number {
  return (series.get(name) ?? []).reduce((sum, sample) => (filter(sample.labels) ? sum + sample.value : sum), 0);
}

/** Sums of a metric by the values of one label. */
export function totalsBy(series: Series, name: string, label: string, filter: Filter = () => true): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { labels, value } of series.get(name) ?? []) {
    if (!filter(labels)) continue;
    const key = labels[label] ?? '';
    totals.set(key, (totals.get(key) ?? 0) + value);
  }
  return totals;
}

/** Mean of a histogram's or summary's observations; undefined without any. */
export function meanOf(series: Series, name: string, filter: Filter = () => true): number | undefined {
  const observations = total(series, `${name}_count`, filter);
  return observations > 0 ? total(series, `${name}_sum`, filter) / observations : undefined;
}

export interface Quantile {
  value: number;
  /** `below`: in the first bucket; `above`: beyond the last bound. Then `value` is only that bound. */
  side: 'exact' | 'below' | 'above';
}

/**
 * Quantile `q` (0 to 1) over all matching series of a histogram, interpolated within its bucket as Prometheus does.
 * Undefined without observations.
 */
export function quantile(series: Series, name: string, q: number, filter: Filter = () => true): Quantile | undefined {
  const byBound = totalsBy(series, `${name}_bucket`, 'le', filter);
  const buckets = [...byBound].map(([le, count]) => ({ bound: number(le), count })).sort((a, b) => a.bound - b.bound);
  const all = buckets.at(-1)?.count ?? 0;
  if (all <= 0) return undefined;
  const rank = q * all;
  const at = buckets.findIndex((bucket) => bucket.count >= rank && bucket.count > 0);
  const bucket = buckets[at];
  if (!bucket) return undefined;
  const before = buckets[at - 1];
  if (bucket.bound === Infinity) return before ? { value: before.bound, side: 'above' } : undefined;
  if (!before) return { value: bucket.bound, side: 'below' };
  const inside = bucket.count - before.count;
  const share = inside > 0 ? (rank - before.count) / inside : 1;
  return { value: before.bound + (bucket.bound - before.bound) * share, side: 'exact' };
}
