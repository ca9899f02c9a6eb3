/** The address of the graph's page: the entity, another one, and from which days one looks. Pure. */
import type { Moments } from '../api/memory-graph';
import { dayOf, dayText } from './range';

const kMostId = 200;
export const kHops = [2, 3, 5, 8, 10] as const;
const kUsualHops = 5;

export interface GraphChoice {
  /** The entity that is looked at: "type:key". */
  id?: string;
  /** The other end of a path. */
  to?: string;
  hops: number;
  /** The day of the world that is shown, as at its end; absent: now. */
  at?: string;
  /** What was known here at the end of this day; absent: what is known now. */
  known?: string;
  /** Also facts that do not hold. */
  ever: boolean;
}

const textOf = (value: unknown): string => (['string', 'number'].includes(typeof value) ? String(value).trim().slice(0, kMostId) : '');

/** What an address that anyone can write chooses; what makes no sense is left out. */
export function graphChoiceOf(search: Record<string, unknown>): GraphChoice {
  const [id, to] = [textOf(search['id']), textOf(search['to'])];
  const [at, known] = [dayOf(search['at']), dayOf(search['known'])];
  const hops = kHops.find((known_hops) => String(known_hops) === String(search['hops'])) ?? kUsualHops;
  return {
    ...(id ? { id } : {}),
    ...(id && to && to !== id ? { to } : {}),
    hops,
    ...(at === undefined ? {} : { at: dayText(at) }),
    ...(known === undefined ? {} : { known: dayText(known) }),
    ever: String(search['ever']) === 'true',
  };
}

/** The address of a choice; what is as usual is not written. */
export function graphAddressOf({ hops, ever, ...rest }: GraphChoice): Record<string, unknown> {
  return { ...rest, ...(hops === kUsualHops ? {} : { hops }), ...(ever ? { ever: true } : {}) };
}

const kLastSecond = 'T23:59:59Z';

export const momentsOf = ({ at, known }: GraphChoice): Moments => ({
  ...(at ? { as_of: at + kLastSecond } : {}),
  ...(known ? { known_at: known + kLastSecond } : {}),
});

export const typeOf = (id: string): string => id.split(':', 1)[0] ?? '';
/** As memories write it, else the key. */
export const nameOf = (id: string, name?: string | null): string => name || id.slice(id.indexOf(':') + 1) || id;
export const relation = (type: string): string => type.replaceAll('_', ' ');
