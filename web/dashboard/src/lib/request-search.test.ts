import { expect, test } from 'vitest';

import { anomalySearch, chosenOf, requestFilterOf } from './request-search';

test('only what makes sense is taken from the address', () => {
  expect(chosenOf({ q: 42, model: 'gpt-4o', user: ' ', tier: 2, error: true, provider: {}, other: 'x' })).toEqual({
    q: '42',
    model: 'gpt-4o',
    tier: '2',
    error: 'true',
  });
  expect(chosenOf({ tier: 7, error: 'maybe' })).toEqual({});
  expect(chosenOf({ q: 'x'.repeat(500) }).q).toHaveLength(200);
});

test('the question stays the same within a day, and has an end only where one was chosen', () => {
  const at = (time: string) => requestFilterOf({ user: '李雷' }, Date.parse(time)).filter;
  expect(at('2026-11-22T07:00:00Z')).toEqual({ user: '李雷', from: '2026-10-24T00:00:00.000Z' });
  expect(at('2026-11-22T23:00:00Z')).toEqual(at('2026-11-22T07:00:00Z'));
  expect(requestFilterOf({ range: 'custom', from: '2026-11-01', to: '2026-11-02' }, 0).filter.to).toBe('2026-11-03T00:00:00.000Z');
});

test('an anomaly leads to the requests of its very hour', () => {
  const hour = { from: '2026-11-22T13:20:00Z', to: '2026-11-22T14:20:00Z' };
  const asked = (search: Record<string, string>) => requestFilterOf(search, 0).filter;
  expect(asked(anomalySearch({ ...hour, error: true }))).toEqual({ error: 'true', from: '2026-11-22T13:20:00.000Z', to: '2026-11-22T14:20:00.000Z' });
  expect(asked(anomalySearch({ ...hour, cache_hit: false }))).toMatchObject({ tier: '0', to: '2026-11-22T14:20:00.000Z' });
  expect(asked(anomalySearch(hour))).not.toHaveProperty('error');
});
