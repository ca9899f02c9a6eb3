/** Text of form fields as the values of the API, and back. */
import { instantIn, timezone } from './timezone';

/** Entries separated by commas, blanks or lines, each once. */
export const listOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

/** Null for an empty field, undefined for what is not a number from `least` on. */
export function numberOf(text: string, { least = 0, whole = false }: { least?: number; whole?: boolean } = {}): number | null | undefined {
  if (!text.trim()) return null;
  const value = Number(text);
  return Number.isFinite(value) && value >= least && (!whole || Number.isSafeInteger(value)) ? value : undefined;
}

export const textOf = (value: number | null | undefined): string => (value === null || value === undefined ? '' : String(value));

/** What a field of type datetime-local holds, in the zone that dates are shown in, as RFC 3339; undefined when it is empty. */
export function instantOf(local: string): string | undefined {
  if (!local) return undefined;
  const time = instantIn(local, timezone());
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
}
