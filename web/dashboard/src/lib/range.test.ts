import { expect, test } from 'vitest';

import { bucketsOf, granularityOf, rangeOf, rangeText, stepsFor, windowOf } from './range';

const now = Date.parse('2026-11-22T07:31:12Z');

test('an address that makes no sense gives the usual range', () => {
  for (const search of [{}, { range: 'ever' }, { range: 7 }, { range: 'custom' }, { range: 'custom', from: '2026-11-05', to: '2026-11-03' }]) {
    expect(rangeOf(search, '30d')).toEqual({ range: '30d' });
  }
  expect(rangeOf({ range: 'custom', from: '2026-02-31', to: '2026-13-01' }, '7d')).toEqual({ range: '7d' });
  expect(rangeOf({ range: 'custom', from: '1990-01-01', to: '2026-01-01' }, '7d')).toEqual({ range: '7d' });
  expect(rangeOf({ range: '24h', from: '2026-11-05' }, '30d')).toEqual({ range: '24h' });
});

test('a custom range includes its last day', () => {
  const range = rangeOf({ range: 'custom', from: '2026-11-03', to: '2026-11-03' }, '30d');
  expect(windowOf(range)).toEqual({ from: '2026-11-03T00:00:00.000Z', to: '2026-11-04T00:00:00.000Z' });
  expect(bucketsOf(range, now)).toMatchObject({ intervals: 24, step: 3_600_000 });
  expect(rangeText(range)).toBe('2026-11-03');
});

test('the points of a chart are whole hours or UTC days, the present one included', () => {
  expect(bucketsOf({ range: '24h' }, now)).toEqual({
    from: '2026-11-21T08:00:00.000Z',
    to: '2026-11-22T08:00:00.000Z',
    intervals: 24,
    step: 3_600_000,
  });
  expect(bucketsOf({ range: '30d' }, now)).toEqual({
    from: '2026-10-24T00:00:00.000Z',
    to: '2026-11-23T00:00:00.000Z',
    intervals: 30,
    step: 86_400_000,
  });
  expect(granularityOf({ range: '24h' }, now)).toBe('hour');
  expect(granularityOf({ range: '7d' }, now)).toBe('day');
});

test('only steps that the gateway still knows are offered', () => {
  expect(stepsFor({ range: '24h' }, now)).toEqual(['5 min', '15 min', 'hour', '6 hours']);
  expect(stepsFor({ range: '7d' }, now)).toEqual(['hour', '6 hours', 'day']);
  expect(stepsFor({ range: '90d' }, now)).toEqual(['6 hours', 'day', 'week']);
  expect(stepsFor(rangeOf({ range: 'custom', from: '2026-03-01', to: '2026-03-02' }, '30d'), now)).toEqual(['day']);
  expect(bucketsOf({ range: '30d' }, now, 'week')).toMatchObject({ intervals: 5, from: '2026-10-19T00:00:00.000Z' });
});

test('a custom range may be two moments, which are kept as they are', () => {
  const search = { range: 'custom', from: '2026-11-22T13:20:00Z', to: '2026-11-22T14:20:00Z' };
  const range = rangeOf(search, '7d');
  expect(windowOf(range)).toEqual({ from: '2026-11-22T13:20:00.000Z', to: '2026-11-22T14:20:00.000Z' });
  expect(rangeText(range)).toBe('2026-11-22 13:20 to 14:20 UTC');
  expect(rangeOf({ ...search, to: search.from }, '7d')).toEqual({ range: '7d' });
  expect(rangeOf({ ...search, to: '2026-11-23' }, '7d')).toEqual({ range: '7d' });
});
