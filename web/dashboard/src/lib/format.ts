/** Numbers, money and times as the dashboard shows them. Locale is fixed, so that figures look the same everywhere. */
import { zonedFormat } from './timezone';

const kLocale = 'en-US';
/** Formats take time to make: each is made when it is first needed, and kept. */
const made = new Map<string, Intl.NumberFormat>();
function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = JSON.stringify(options);
  let format = made.get(name);
  if (!format) made.set(name, (format = new Intl.NumberFormat(kLocale, options)));
  return format;
}
const compact = (value: number): string => numbers({ notation: 'compact', maximumSignificantDigits: 3 }).format(value);
const kLeastShown = 0.000001;

function fixed(amount: number, decimals: number): string {
  return numbers({ minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(amount);
}

/**
 * US dollars, precise where they are small: the API counts in millionths, and one request costs a few of them.
 * $1 and more: cents; from 1 cent: 4 decimals; below: 6.
 */
export function dollars(amount: number): string {
  const size = Math.abs(amount);
  const sign = amount < 0 ? '−' : '';
  if (size === 0) return '$0';
  if (size < kLeastShown) return `${sign}<$0.000001`;
  return `${sign}$${fixed(size, size >= 1 ? 2 : size >= 0.01 ? 4 : 6)}`;
}

/** The same in the little room beside an axis. */
export function dollarsShort(amount: number): string {
  const size = Math.abs(amount);
  const sign = amount < 0 ? '−' : '';
  if (size === 0) return '$0';
  if (size >= 1000) return `${sign}$${compact(size)}`;
  if (size >= 10) return `${sign}$${fixed(size, Number.isInteger(size) ? 0 : 1)}`;
  return `${sign}$${numbers({ maximumFractionDigits: 9 }).format(Number(size.toPrecision(size < 1 ? 2 : 3)))}`;
}

/** A price per 1,000 tokens as dollars per million, the unit of vendors' price lists. */
export function pricePerMillion(per1k: number): string {
  const price = Number((per1k * 1000).toPrecision(10));
  if (price === 0) return 'free';
  const decimals = Math.max(2, (price.toString().split('.')[1] ?? '').length);
  return `$${fixed(price, Math.min(decimals, 6))}`;
}

export const count = (value: number): string => fixed(value, 0);

/** 1 memory, 2 memories. */
export const counted = (value: number, one: string, several = `${one}s`): string => `${count(value)} ${value === 1 ? one : several}`;

/** Up to 9,999 in full, then 12.3K, 128K, 1.05M. */
export const countShort = (value: number): string => (Math.abs(value) < 10_000 ? fixed(value, 0) : compact(value));

/** `share` is 0 to 1. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return '–';
  const value = share * 100;
  return `${value.toFixed(1).replace(/\.0$/, '')}%`;
}

/** Without decimals that an axis does not need. */
export const millisecondsShort = (ms: number): string =>
  ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`;

export function milliseconds(ms: number): string {
  if (ms >= 60_000) return duration(ms / 1000);
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 999.5) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 100) return `${Math.round(ms)} ms`;
  if (ms >= 10) return `${ms.toFixed(1)} ms`;
  return `${ms.toFixed(2)} ms`;
}

/** Of one request, which is kept in whole milliseconds. */
export const latencyOf = (ms: number): string => (ms < 1 ? '< 1 ms' : milliseconds(ms).replace('.0 ms', ' ms').replace('.00 ms', ' ms'));

/** The two largest units: `3 d 4 h`, `12 min 5 s`. */
export function duration(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  const parts: [number, string][] = [
    [Math.floor(left / 86_400), 'd'],
    [Math.floor(left / 3600) % 24, 'h'],
    [Math.floor(left / 60) % 60, 'min'],
    [left % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

export function bytes(size: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const kDate = { year: 'numeric', month: 'short', day: 'numeric' } as const;
const inFull = zonedFormat(kLocale, { ...kDate, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = zonedFormat(kLocale, kDate);
const clock = zonedFormat(kLocale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

function written(iso: string, format: () => Intl.DateTimeFormat): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : format().format(date);
}

/** Date and time in the zone that the reader chose. */
export const dateTime = (iso: string): string => written(iso, inFull);

/** The day in the zone that the reader chose. */
export const dateOnly = (iso: string): string => written(iso, day);

export const clockTime = (time: number): string => clock().format(time);
