/** The window of time that a page is about. Pure; days are UTC days, as the gateway counts them. */

export const kRanges = ['24h', '7d', '30d', '90d', 'custom'] as const;
export type RangeName = (typeof kRanges)[number];

export interface Range {
  range: RangeName;
  /** Days (`2026-11-03`), both included, or two moments (`2026-11-03T14:00:00Z`); of a custom range only. */
  from?: string;
  to?: string;
}

/** What an analytics route is asked for: a period that ends now, or a range of its own. */
export type Window = { period: '24h' | '7d' | '30d' | '90d' } | { from: string; to: string };

const kHour = 3_600_000;
const kDay = 24 * kHour;
const kMostDays = 1_000;

/** `text` as a day, ms since 1970; undefined when it is none. */
export function dayOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const time = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(time) ? undefined : time;
}

/** `text` as a moment of UTC, ms since 1970; undefined when it is none. */
export function momentOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

export const dayText = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** A range out of an address that anyone can write: what makes no sense becomes `otherwise`. */
export function rangeOf(search: Record<string, unknown>, otherwise: RangeName): Range {
  const name = kRanges.find((known) => known === search['range']) ?? otherwise;
  if (name !== 'custom') return { range: name };
  const [since, until] = [momentOf(search['from']), momentOf(search['to'])];
  if (since !== undefined && until !== undefined && since < until && until - since < kMostDays * kDay) {
    return { range: 'custom', from: new Date(since).toISOString(), to: new Date(until).toISOString() };
  }
  const [from, to] = [dayOf(search['from']), dayOf(search['to'])];
  if (from === undefined || to === undefined || from > to || to - from >= kMostDays * kDay) return { range: otherwise };
  return { range: 'custom', from: dayText(from), to: dayText(to) };
}

export function windowOf({ range, from, to }: Range): Window {
  const [first, last] = [dayOf(from), dayOf(to)];
  if (range === 'custom' && first !== undefined && last !== undefined) {
    return { from: new Date(first).toISOString(), to: new Date(last + kDay).toISOString() };
  }
  if (range === 'custom' && from && to && momentOf(from) !== undefined && momentOf(to) !== undefined) return { from, to };
  return { period: range === 'custom' ? '30d' : range };
}

const kDays = { '24h': 1, '7d': 7, '30d': 30, '90d': 90 } as const;

export interface Buckets {
  from: string;
  to: string;
  intervals: number;
  /** ms */
  step: number;
}

/** The steps that a chart can go by, ms. */
export const kSteps = { '5 min': 300_000, '15 min': 900_000, hour: kHour, '6 hours': 6 * kHour, day: kDay, week: 7 * kDay } as const;
export type StepName = keyof typeof kSteps;
/** The gateway keeps minutes for two days and hours for 100, and answers up to 1,000 points. */
const kMinutesKept = 2 * kDay;
const kHoursKept = 100 * kDay;
const kMostPoints = 400;

/**
 * Whole steps (absent: hours up to two days, days above) that cover the range, the one that runs now included. Weeks end
 * with this day, the others stand where UTC has them.
 */
export function bucketsOf(range: Range, now: number, wanted?: StepName): Buckets {
  const window = windowOf(range);
  const own = 'from' in window;
  const length = own ? Date.parse(window.to) - Date.parse(window.from) : kDays[window.period] * kDay;
  const step = wanted ? kSteps[wanted] : length <= 2 * kDay ? kHour : kDay;
  const unit = Math.min(step, kDay);
  const to = own ? Date.parse(window.to) : Math.floor(now / unit) * unit + unit;
  const intervals = Math.max(1, Math.ceil(length / step));
  return { from: new Date(to - intervals * step).toISOString(), to: new Date(to).toISOString(), intervals, step };
}

/** The steps that the range can be shown in. */
export function stepsFor(range: Range, now: number): StepName[] {
  const { from, to } = bucketsOf(range, now);
  const [first, last] = [Date.parse(from), Date.parse(to)];
  return (Object.keys(kSteps) as StepName[]).filter((name) => {
    const step = kSteps[name];
    const points = (last - first) / step;
    const kept = step < kHour ? kMinutesKept : step < kDay ? kHoursKept : Infinity;
    return points >= 2 && points <= kMostPoints && now - first <= kept;
  });
}

/** The granularity that the routes with a `series` take for it. */
export const granularityOf = (range: Range, now: number): 'hour' | 'day' => (bucketsOf(range, now).step === kHour ? 'hour' : 'day');

export function rangeText({ range, from, to }: Range): string {
  if (range === 'custom') {
    const [first, last] = [from, to].map((end) => (end ?? '').replace(/T(\d\d:\d\d).*/, ' $1'));
    if (from?.includes('T')) return `${first} to ${first?.slice(0, 10) === last?.slice(0, 10) ? last?.slice(11) : last} UTC`;
    return first === last ? `${first}` : `${first} to ${last}`;
  }
  return { '24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days', '90d': 'last 90 days' }[range];
}
