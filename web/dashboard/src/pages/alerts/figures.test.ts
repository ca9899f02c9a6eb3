import { expect, test } from 'vitest';

import { deviation, metricOf } from './figures';

test('figures are written in the unit of their metric', () => {
  expect(metricOf('cost_per_request').show(0.031)).toBe('$0.0310');
  expect(metricOf('latency_p95_ms').show(2140)).toBe('2.14 s');
  expect(metricOf('cache_hit_rate').show(0.25)).toBe('25%');
  expect([metricOf('events_lost').label, metricOf('events_lost').show(12), metricOf('x').show(0.12345)]).toEqual(['events lost', '12', '0.123']);
});

test('a change has its sign, and none where there is nothing to compare with', () => {
  expect([deviation(638.4), deviation(-75), deviation(0), deviation(Infinity)]).toEqual(['+638%', '−75%', '', '']);
});
