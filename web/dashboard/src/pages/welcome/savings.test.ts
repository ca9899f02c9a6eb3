import { expect, test } from 'vitest';

import { kSmallModelShare, savingsOf } from './savings';

test('nothing repeated and nothing easy saves nothing', () => {
  expect(savingsOf({ spend: 1000, repeated: 0, easy: 0 })).toEqual({ after: 1000, saved: 0, share: 0 });
  expect(savingsOf({ spend: 0, repeated: 0.5, easy: 0.5 }).share).toBe(0);
});

test('repeats cost nothing and easy questions a small model', () => {
  expect(savingsOf({ spend: 1000, repeated: 0.4, easy: 0 }).after).toBeCloseTo(600);
  expect(savingsOf({ spend: 1000, repeated: 0, easy: 1 }).after).toBeCloseTo(1000 * kSmallModelShare);
  expect(savingsOf({ spend: 1000, repeated: 0.5, easy: 0.8 }).share).toBeCloseTo(0.8925, 4);
});
