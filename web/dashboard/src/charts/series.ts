/** Points over time, as charts want them. Pure but for the reader's time zone. */
import { zonedFormat } from '../lib/timezone';

/** One moment: its time in ms since 1970 and a value per line; null or absent: nothing is known. */
export type Row = { t: number } & Record<string, number | null>;

export interface Sample {
  t: number;
  key: string;
  value: number | null;
}

const kMinute = 60_000;
const kHour = 60 * kMinute;
export const kDay = 24 * kHour;

/** The `most` keys with the largest sums, largest first; the others are what the second member says. */
export function topKeys(samples: readonly Sample[], most: number): { keys: string[]; rest: Set<string> } {
  const sums = new Map<string, number>();
  for (const { key, value } of samples) sums.set(key, (sums.get(key) ?? 0) + (value ?? 0));
  const sorted = [...sums].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([key]) => key);
  // One more is as good as “other” standing for it alone.
  const cut = sorted.length <= most + 1 && !sorted.includes('other') ? sorted.length : most;
  const keys = sorted.filter((key) => key !== 'other').slice(0, cut);
  return { keys, rest: new Set(sorted.filter((key) => !keys.includes(key))) };
}

/** Rows of every moment that occurs, a value per key; keys of `rest` are added up as `other`. A key without a value is 0. */
export function pivot(samples: readonly Sample[], keys: readonly string[], rest: ReadonlySet<string>): Row[] {
  const rows = new Map<number, Row>();
  for (const { t, key, value } of samples) {
    let row = rows.get(t);
    if (!row) {
      row = { t };
      for (const name of keys) row[name] = 0;
      if (rest.size > 0) row['other'] = 0;
      rows.set(t, row);
    }
    const name = rest.has(key) ? 'other' : key;
    row[name] = (row[name] ?? 0) + (value ?? 0);
  }
  return [...rows.values()].sort((a, b) => a.t - b.t);
}

/** The distance of the points: the smallest between neighbours; `otherwise` when there are fewer than two. */
export function stepOf(times: readonly number[], otherwise = kDay): number {
  let step = Infinity;
  for (let i = 1; i < times.length; i += 1) step = Math.min(step, (times[i] ?? 0) - (times[i - 1] ?? 0));
  return Number.isFinite(step) && step > 0 ? step : otherwise;
}

/** Adds a row without values wherever one is missing, so that a line breaks there and claims nothing. Rows by time. */
export function withGaps(rows: readonly Row[], step: number, most = 5_000): Row[] {
  const filled: Row[] = [];
  for (const row of rows) {
    const before = filled.at(-1);
    // A little more than a step is clock skew; months have 28 to 31 days.
    for (let t = (before?.t ?? row.t) + step; before && t < row.t - step / 2 && filled.length < most; t += step) filled.push({ t });
    filled.push(row);
  }
  return filled;
}

/** Whether a line has no neighbour at `at` to draw to: it needs a dot to be seen. */
export function isAlone(rows: readonly Row[], at: number, key: string): boolean {
  const known = (row: Row | undefined) => typeof row?.[key] === 'number';
  return known(rows[at]) && !known(rows[at - 1]) && !known(rows[at + 1]);
}

const kSteps = [1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 24, 30, 48, 60, 90, 120, 168, 365];

/** At most `most` of the moments, evenly apart, for the axis. */
export function ticksOf(times: readonly number[], most: number): number[] {
  if (times.length <= most) return [...times];
  const every = kSteps.find((step) => times.length / step <= most) ?? Math.ceil(times.length / most);
  return times.filter((_, i) => i % every === 0);
}

/** The axis' ends: a single point stands in the middle. */
export function extent(times: readonly number[], step: number): [number, number] {
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 0;
  return first === last ? [first - step, last + step] : [first, last];
}

const kHours = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
const kMonthDay = { month: 'short', day: 'numeric' } as const;
/** Times of day in the zone that the reader chose. */
const hour = zonedFormat('en-US', kHours);
const dayHour = zonedFormat('en-US', { ...kMonthDay, ...kHours });
let days: { short: Intl.DateTimeFormat; full: Intl.DateTimeFormat } | undefined;
const inDays = () =>
  (days ??= {
    short: new Intl.DateTimeFormat('en-US', { ...kMonthDay, timeZone: 'UTC' }),
    full: new Intl.DateTimeFormat('en-US', { weekday: 'short', ...kMonthDay, year: 'numeric', timeZone: 'UTC' }),
  });

/** A moment under the axis. Days are the gateway's (UTC), times of day the reader's. */
export function tickLabel(t: number, step: number, span: number): string {
  if (step >= kDay) return inDays().short.format(t);
  return span <= 1.5 * kDay ? hour().format(t) : dayHour().format(t).replace(', 00:00', '');
}

/** The same in full, for tooltips and tables. */
export const momentLabel = (t: number, step: number): string => (step >= kDay ? `${inDays().full.format(t)} UTC` : dayHour().format(t));

const kMostSteps = 5;

/**
 * Marks of an axis from 0 to the first one not below `value` and `least`: 1, 2, 2.5 or 5 times a power of ten apart, at most
 * five steps. `whole`: no fractions of one, for what is counted.
 */
export function niceTicks(value: number, { least = 0, whole = false }: { least?: number; whole?: boolean } = {}): number[] {
  const wanted = Math.max(value, least);
  const end = wanted > 0 && Number.isFinite(wanted) ? wanted : 1;
  let power = 10 ** Math.floor(Math.log10(end / kMostSteps));
  if (whole) power = Math.max(1, power);
  const factor = [1, 2, 2.5, 5, 10].find((step) => (!whole || Number.isInteger(step * power)) && end <= step * power * kMostSteps * (1 + 1e-9)) ?? 10;
  const step = factor * power;
  const steps = Math.max(1, Math.ceil(end / step - 1e-9));
  return Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(10)));
}
