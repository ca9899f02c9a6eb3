import { expect, test } from 'vitest';

import { bestModel } from './insights';

const model = (name: string, requests: number, avg_cost: number, avg_quality: number) => ({ model: name, requests, avg_cost, avg_quality });

test('the best model gives the most quality per dollar, and has answered enough to tell', () => {
  const dear = model('dear', 500, 0.01, 4.8);
  const cheap = model('cheap', 500, 0.0005, 4.1);
  const rare = model('rare', 1, 0.00001, 5);
  expect(bestModel([dear, cheap, rare])?.model).toBe('cheap');
  expect(bestModel([dear, cheap, model('free', 100, 0, 3), model('better', 100, 0, 4)])?.model).toBe('better');
});

test('without a rating there is none', () => {
  expect(bestModel([])).toBeUndefined();
  expect(bestModel([model('unrated', 10, 0.1, 0)])).toBeUndefined();
});
