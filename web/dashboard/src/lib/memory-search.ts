/** The address of the memory's search: words, mode, tiers and every filter that was ticked. Pure. */
import type { SearchRequest } from '../api/memory';
import { dayOf, dayText } from './range';

export const kModes = ['hybrid', 'semantic', 'keyword'] as const;
export const kTiers = ['hot', 'warm', 'cold'] as const;
type Tier = (typeof kTiers)[number];
/** Fields of which one value can be asked for. */
export const kFields = ['source', 'project', 'language', 'type', 'user_id'] as const;
type Field = (typeof kFields)[number];

/** What the search counts beside its results. */
export const kFacets = ['system_id', 'tier', 'date:month', 'tags', 'project', 'source', 'type', 'language'] as const;

const kMostText = 1_000;
const kMostListed = 100;
const kDay = 86_400_000;
/** Searched unless others are chosen; the cold tier is slow, so it has to be asked for. */
const kUsualTiers: readonly Tier[] = ['hot', 'warm'];

export interface MemoryChoice extends Partial<Record<Field, string>> {
  q: string;
  mode: (typeof kModes)[number];
  tiers: readonly Tier[];
  systems: readonly string[];
  tags: readonly string[];
  /** Days, both included. */
  from?: string;
  to?: string;
  threshold?: number;
}

const textOf = (value: unknown): string => (['string', 'number', 'boolean'].includes(typeof value) ? String(value).trim().slice(0, kMostText) : '');
const listOf = (value: unknown): string[] => [...new Set((Array.isArray(value) ? value : [value]).map(textOf).filter(Boolean))].slice(0, kMostListed);

/** What an address that anyone can write chooses; what makes no sense is left out. */
export function memoryChoiceOf(search: Record<string, unknown>): MemoryChoice {
  const tiers = listOf(search['tiers']).filter((tier): tier is Tier => (kTiers as readonly string[]).includes(tier));
  const choice: MemoryChoice = {
    q: textOf(search['q']),
    mode: kModes.find((mode) => mode === search['mode']) ?? 'hybrid',
    tiers: tiers.length > 0 ? kTiers.filter((tier) => tiers.includes(tier)) : kUsualTiers,
    systems: listOf(search['systems']),
    tags: listOf(search['tags']),
  };
  for (const field of kFields) {
    const value = textOf(search[field]);
    if (value) choice[field] = value;
  }
  const [from, to] = [dayOf(search['from']), dayOf(search['to'])];
  if (from === undefined || to === undefined || from <= to) {
    if (from !== undefined) choice.from = dayText(from);
    if (to !== undefined) choice.to = dayText(to);
  }
  const threshold = textOf(search['threshold']) === '' ? NaN : Number(search['threshold']);
  if (threshold >= 0 && threshold <= 1) choice.threshold = threshold;
  return choice;
}

/** The address of a choice; what is as usual is not written. */
export function addressOf(choice: MemoryChoice): Record<string, unknown> {
  const usual = choice.tiers.length === kUsualTiers.length && kUsualTiers.every((tier) => choice.tiers.includes(tier));
  const { q, mode, tiers, systems, tags, ...rest } = choice;
  return {
    ...(q ? { q } : {}),
    ...(mode === 'hybrid' ? {} : { mode }),
    ...(usual ? {} : { tiers }),
    ...(systems.length > 0 ? { systems } : {}),
    ...(tags.length > 0 ? { tags } : {}),
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== '')),
  };
}

export function memoryRequestOf(choice: MemoryChoice): SearchRequest {
  const { q, mode, tiers, systems, tags, from, to, threshold, ...fields } = choice;
  const end = dayOf(to);
  return {
    ...(q ? { query: q } : {}),
    mode,
    tiers: [...tiers],
    facets: [...kFacets],
    ...fields,
    ...(systems.length > 0 ? { system_ids: [...systems] } : {}),
    ...(tags.length > 0 ? { tags: [...tags] } : {}),
    ...(from ? { start_time: `${from}T00:00:00Z` } : {}),
    ...(end === undefined ? {} : { end_time: new Date(end + kDay).toISOString() }),
    // Nothing is alike without words to compare with.
    ...(threshold !== undefined && q && mode !== 'keyword' ? { threshold } : {}),
  };
}

/** One filter that holds, and the choice without it. */
export interface Chip {
  text: string;
  without: MemoryChoice;
}

const kNames: Record<Field, string> = { source: 'source', project: 'project', language: 'language', type: 'type', user_id: 'user' };

export function chipsOf(choice: MemoryChoice): Chip[] {
  const { from, to, threshold, ...dateless } = choice;
  const chips: Chip[] = [
    ...choice.systems.map((system) => ({ text: `system: ${system}`, without: { ...choice, systems: choice.systems.filter((other) => other !== system) } })),
    ...choice.tags.map((tag) => ({ text: `tag: ${tag}`, without: { ...choice, tags: choice.tags.filter((other) => other !== tag) } })),
  ];
  for (const field of kFields) {
    if (!choice[field]) continue;
    const { [field]: value, ...without } = choice;
    chips.push({ text: `${kNames[field]}: ${value}`, without });
  }
  if (from || to) chips.push({ text: from && to ? `${from} to ${to}` : from ? `from ${from}` : `until ${to}`, without: { ...dateless, ...(threshold === undefined ? {} : { threshold }) } });
  if (threshold !== undefined) chips.push({ text: `alike from ${threshold.toFixed(2)}`, without: { ...dateless, ...(from ? { from } : {}), ...(to ? { to } : {}) } });
  return chips;
}

/** The first and last day of a month (`2026-11`) or a day, as a facet of dates names them. */
export function daysOfFacet(key: string): { from: string; to: string } | undefined {
  if (/^\d{4}-\d{2}-\d{2}$/.test(key)) return { from: key, to: key };
  const [, year, month] = /^(\d{4})-(\d{2})/.exec(key) ?? [];
  if (!year || !month) return undefined;
  return { from: `${year}-${month}-01`, to: dayText(Date.UTC(Number(year), Number(month), 0)) };
}

/** The choice with one value of a facet more, or without it when it was chosen. */
export function toggled(choice: MemoryChoice, facet: string, value: string): MemoryChoice {
  const flip = (values: readonly string[]) => (values.includes(value) ? values.filter((other) => other !== value) : [...values, value]);
  if (facet === 'system_id') return { ...choice, systems: flip(choice.systems) };
  if (facet === 'tags') return { ...choice, tags: flip(choice.tags) };
  if (facet === 'tier') {
    const tiers = kTiers.filter((tier) => (tier === value) !== choice.tiers.includes(tier));
    return { ...choice, tiers: tiers.length > 0 ? tiers : kUsualTiers };
  }
  if (facet.startsWith('date')) {
    const { from, to, ...rest } = choice;
    const days = daysOfFacet(value);
    return !days || (from === days.from && to === days.to) ? rest : { ...rest, ...days };
  }
  const field = facet as Field;
  const { [field]: before, ...rest } = choice;
  return before === value ? rest : { ...rest, [field]: value };
}

export function isChosen(choice: MemoryChoice, facet: string, value: string): boolean {
  if (facet === 'system_id') return choice.systems.includes(value);
  if (facet === 'tags') return choice.tags.includes(value);
  if (facet === 'tier') return (choice.tiers as readonly string[]).includes(value);
  if (facet.startsWith('date')) return choice.from !== undefined && daysOfFacet(value)?.from === choice.from && daysOfFacet(value)?.to === choice.to;
  return choice[facet as Field] === value;
}
