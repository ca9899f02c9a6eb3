import { expect, test } from 'vitest';

import { addressOf, chipsOf, daysOfFacet, isChosen, memoryChoiceOf, memoryRequestOf, toggled } from './memory-search';

const usual = memoryChoiceOf({});

test('an address that makes no sense asks as usual: hot and warm, by words and meaning', () => {
  for (const search of [{}, { mode: 'best', tiers: 'frozen', threshold: 'high', from: 'May', systems: {} }, { from: '2026-11-05', to: '2026-11-01' }]) {
    expect(memoryChoiceOf(search)).toEqual({ q: '', mode: 'hybrid', tiers: ['hot', 'warm'], systems: [], tags: [] });
  }
  expect(addressOf(usual)).toEqual({});
});

test('what was chosen comes back out of its address', () => {
  const choice = { ...usual, q: 'roll back', mode: 'keyword', tiers: ['cold'], systems: ['a', 'b'], tags: ['x, y'], project: 'shop', from: '2026-11-01', to: '2026-11-30', threshold: 0.5 } as const;
  expect(memoryChoiceOf(addressOf(choice))).toEqual(choice);
  // The router reads numbers out of an address.
  expect(memoryChoiceOf({ q: 42, tags: [7] })).toMatchObject({ q: '42', tags: ['7'] });
});

test('the API is asked for whole days, and for likeness only where there are words to be like', () => {
  const request = memoryRequestOf({ ...usual, q: 'x', from: '2026-11-01', to: '2026-11-30', threshold: 0.7 });
  expect(request).toMatchObject({ query: 'x', start_time: '2026-11-01T00:00:00Z', end_time: '2026-12-01T00:00:00.000Z', threshold: 0.7 });
  expect(memoryRequestOf({ ...usual, threshold: 0.7 })).not.toHaveProperty('threshold');
  expect(memoryRequestOf({ ...usual, threshold: 0.7 })).not.toHaveProperty('query');
});

test('every filter is a chip that takes only itself away', () => {
  const choice = { ...usual, systems: ['a'], tags: ['t'], project: 'shop', from: '2026-11-01', threshold: 0.5 };
  const chips = chipsOf(choice);
  expect(chips.map(({ text }) => text)).toEqual(['system: a', 'tag: t', 'project: shop', 'from 2026-11-01', 'alike from 0.50']);
  for (const { without } of chips) expect(chipsOf(without)).toHaveLength(chips.length - 1);
});

test('a value of a facet is ticked and unticked', () => {
  for (const [facet, value] of [['system_id', 'a'], ['tags', 't'], ['project', 'shop'], ['date:month', '2026-02']] as const) {
    const ticked = toggled(usual, facet, value);
    expect(isChosen(ticked, facet, value)).toBe(true);
    expect(toggled(ticked, facet, value)).toEqual(usual);
  }
  expect(toggled(usual, 'tier', 'cold').tiers).toEqual(['hot', 'warm', 'cold']);
  expect(toggled({ ...usual, tiers: ['hot'] }, 'tier', 'hot').tiers).toEqual(['hot', 'warm']);
  expect(daysOfFacet('2024-02')).toEqual({ from: '2024-02-01', to: '2024-02-29' });
});
