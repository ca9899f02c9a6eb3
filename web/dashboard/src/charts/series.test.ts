import { expect, test } from 'vitest';

import { extent, isAlone, kDay, momentLabel, niceTicks, pivot, stepOf, tickLabel, ticksOf, topKeys, withGaps, type Row, type Sample } from './series';

const samples: Sample[] = [
  { t: 2, key: 'b', value: 5 },
  { t: 1, key: 'a', value: 1 },
  { t: 1, key: 'c', value: 2 },
  { t: 2, key: 'd', value: 0.5 },
];

test('the largest keys stand first and the rest is one key', () => {
  expect(topKeys(samples, 2)).toEqual({ keys: ['b', 'c'], rest: new Set(['a', 'd']) });
  // Nothing is won by calling a single key “other”.
  expect(topKeys(samples, 3)).toEqual({ keys: ['b', 'c', 'a', 'd'], rest: new Set() });
  expect(topKeys([...samples, { t: 1, key: 'other', value: 99 }], 2).rest.has('other')).toBe(true);
});

test('rows have every key, in the order of time, and lose no value', () => {
  const { keys, rest } = topKeys(samples, 2);
  expect(pivot(samples, keys, rest)).toEqual([
    { t: 1, b: 0, c: 2, other: 1 },
    { t: 2, b: 5, c: 0, other: 0.5 },
  ]);
});

test('a missing moment breaks the line, clock skew does not', () => {
  const rows: Row[] = [{ t: 0, v: 1 }, { t: 10, v: 1 }, { t: 41, v: 1 }];
  expect(withGaps(rows, 10).map(({ t }) => t)).toEqual([0, 10, 20, 30, 41]);
  expect(withGaps([{ t: 0, v: 1 }, { t: 11, v: 1 }], 10)).toHaveLength(2);
  expect(withGaps([], 10)).toEqual([]);
  expect(withGaps([{ t: 0 }, { t: 1e9 }], 1, 100)).toHaveLength(101);
});

test('what stands alone is found, so that it gets a dot', () => {
  const rows: Row[] = [{ t: 0, v: 1 }, { t: 1 }, { t: 2, v: 2 }, { t: 3, v: 3 }];
  expect([0, 1, 2, 3].map((at) => isAlone(rows, at, 'v'))).toEqual([true, false, false, false]);
  expect(isAlone([{ t: 0, v: 0 }], 0, 'v')).toBe(true);
});

test('steps, ends and ticks hold for none, one and many points', () => {
  expect(stepOf([])).toBe(kDay);
  expect(stepOf([5])).toBe(kDay);
  expect(stepOf([0, 10, 40])).toBe(10);
  expect(extent([5], 2)).toEqual([3, 7]);
  expect(extent([5, 9], 2)).toEqual([5, 9]);
  expect(ticksOf([], 5)).toEqual([]);
  expect(ticksOf(Array.from({ length: 30 }, (_, i) => i), 6)).toEqual([0, 5, 10, 15, 20, 25]);
  expect(ticksOf(Array.from({ length: 1000 }, (_, i) => i), 6).length).toBeLessThanOrEqual(6);
});

test('days are named in UTC, as the gateway counts them', () => {
  const t = Date.UTC(2026, 10, 3);
  expect(tickLabel(t, kDay, 30 * kDay)).toBe('Nov 3');
  expect(momentLabel(t, kDay)).toBe('Tue, Nov 3, 2026 UTC');
});

test('an axis has even marks up to a round number', () => {
  expect(niceTicks(3.94)).toEqual([0, 1, 2, 3, 4]);
  expect(niceTicks(0.0003)).toEqual([0, 0.0001, 0.0002, 0.0003]);
  expect(niceTicks(1038)).toEqual([0, 250, 500, 750, 1000, 1250]);
  expect(niceTicks(1, { whole: true })).toEqual([0, 1]);
  expect(niceTicks(12, { whole: true })).toEqual([0, 5, 10, 15]);
  expect(niceTicks(0.2, { least: 1 }).at(-1)).toBe(1);
  for (const nothing of [0, -1, NaN, Infinity]) expect(niceTicks(nothing).at(-1)).toBe(1);
  for (const value of [7e-7, 0.999, 1, 4.9, 5, 5.1, 99, 1e6, 123_456_789]) {
    const ticks = niceTicks(value);
    expect(ticks.length).toBeLessThanOrEqual(6);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(value);
  }
});
