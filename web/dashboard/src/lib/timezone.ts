/** The zone that dates are shown in: the reader's choice, kept in this browser, else the browser's own. */
import { useSyncExternalStore } from 'react';

const kEntry = 'asahi.timezone';
const listeners = new Set<() => void>();

export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function stored(): string {
  try {
    const name = localStorage.getItem(kEntry) ?? '';
    return name && isTimezone(name) ? name : '';
  } catch {
    return '';
  }
}

let current = stored();

/** Empty: the browser's. */
export const timezone = (): string => current;

export const browserTimezone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function setTimezone(name: string): void {
  current = name;
  try {
    if (name) localStorage.setItem(kEntry, name);
    else localStorage.removeItem(kEntry);
  } catch {
    // Lasts as long as the page then.
  }
  for (const listener of listeners) listener();
}

export function useTimezone(): string {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, timezone);
}

/** A format of times in the reader's zone: made when it is first needed, since that takes milliseconds, and kept. */
export function zonedFormat(locale: string, options: Intl.DateTimeFormatOptions): () => Intl.DateTimeFormat {
  let made: { zone: string; format: Intl.DateTimeFormat } | undefined;
  return () => {
    if (made?.zone !== current) made = { zone: current, format: new Intl.DateTimeFormat(locale, { ...options, ...(current ? { timeZone: current } : {}) }) };
    return made.format;
  };
}

export const timezones = (): string[] => ['UTC', ...Intl.supportedValuesOf('timeZone').filter((name) => name !== 'UTC')];

/** How far the zone's clocks are ahead of UTC at that moment, in ms. */
function offsetAt(time: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
  }).formatToParts(time);
  const part = (type: string) => Number(parts.find((found) => found.type === type)?.value);
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second')) - Math.floor(time / 1000) * 1000;
}

/** `local` (2026-11-22T08:30) as clocks in `zone` show it, in ms since 1970; NaN when it is no time. */
export function instantIn(local: string, zone: string): number {
  if (!zone) return new Date(local).getTime();
  const wall = new Date(`${local}Z`).getTime();
  if (Number.isNaN(wall)) return NaN;
  // Twice: the first guess may stand on the other side of a change of clocks.
  const first = wall - offsetAt(wall, zone);
  return wall - offsetAt(first, zone);
}
