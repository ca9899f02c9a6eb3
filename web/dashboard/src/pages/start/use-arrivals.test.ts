import { expect, test } from 'vitest';

import { arrivalOf } from './use-arrivals';

test('an event of the stream tells what it knows', () => {
  const line = { event_id: '01J', request_id: 'req_1', model_used: 'gpt-4o-mini', cost: 0.00012, latency_ms: 41.5, cache_hit: false };
  expect(arrivalOf(JSON.stringify(line))).toEqual({ id: 'req_1', model: 'gpt-4o-mini', cost: 0.00012, latencyMs: 41.5, cacheHit: false, error: undefined });
  expect(arrivalOf(JSON.stringify({ ...line, error: 'timeout' }))?.error).toBe('timeout');
});

test('what is no event is passed over', () => {
  expect([arrivalOf('{'), arrivalOf('[]'), arrivalOf('{"cost":1}')]).toEqual([undefined, undefined, undefined]);
});
