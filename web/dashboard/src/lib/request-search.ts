/** The request explorer's address: filters, time and the request that is looked at. Pure. */
import type { RequestFilter } from '../api/analytics';
import type { Schemas } from '../api/client';
import { bucketsOf, rangeOf, windowOf, type Range } from './range';

const kTexts = ['q', 'model', 'task_type', 'user', 'api_key', 'provider'] as const;
const kTiers = ['0', '1', '2', '3'] as const;
const kMostText = 200;

export type Chosen = Omit<RequestFilter, 'from' | 'to'>;

/** What an address that anyone can write chooses; what makes no sense is left out. */
export function chosenOf(search: Record<string, unknown>): Chosen {
  const chosen: Chosen = {};
  for (const name of kTexts) {
    const value = search[name];
    // The router reads numbers and booleans out of an address.
    const text = ['string', 'number', 'boolean'].includes(typeof value) ? String(value).slice(0, kMostText) : '';
    if (text.trim()) chosen[name] = text;
  }
  const tier = kTiers.find((known) => known === String(search['tier']));
  if (tier) chosen.tier = tier;
  if (String(search['error']) === 'true') chosen.error = 'true';
  if (String(search['error']) === 'false') chosen.error = 'false';
  return chosen;
}

/** What the API is asked; a period begins at a whole hour or day, so that the question stays the same for a while. */
export function requestFilterOf(search: Record<string, unknown>, now: number): { filter: RequestFilter; range: Range; chosen: Chosen } {
  const range = rangeOf(search, '30d');
  const chosen = chosenOf(search);
  const window = windowOf(range);
  const time = 'from' in window ? window : { from: bucketsOf(range, now).from };
  return { filter: { ...chosen, ...time }, range, chosen };
}

/** The explorer's address for the requests behind an anomaly. Of the cache it knows tiers: 0 is a miss. */
export function anomalySearch({ from, to, cache_hit, error }: Schemas['Anomaly']['filter']): Record<string, string> {
  return {
    range: 'custom',
    from,
    to,
    ...(cache_hit === false ? { tier: '0' } : {}),
    ...(error === undefined ? {} : { error: String(error) }),
  };
}
