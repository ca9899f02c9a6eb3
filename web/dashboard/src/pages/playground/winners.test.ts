import { expect, test } from 'vitest';

import type { Facts } from '../../api/ask';
import type { Run } from './use-run';
import { winnersOf } from './winners';

const run = (cost: number, totalMs: number, state: Run['state'] = 'done'): Run => ({
  question: {} as Run['question'],
  state,
  text: '',
  startedAt: 0,
  totalMs,
  facts: { cost } as Facts,
});

test('the cheapest and the fastest are told once there is something to compare', () => {
  expect(winnersOf([run(2, 10), run(1, 20), run(3, 30)])).toEqual({ cheapest: 1, fastest: 0 });
  expect(winnersOf([run(2, 10), undefined])).toEqual({});
  expect(winnersOf([run(2, 10), run(1, 5, 'failed')])).toEqual({});
});

test('two alike win nothing', () => {
  expect(winnersOf([run(1, 10), run(1, 10)])).toEqual({});
  expect(winnersOf([run(0, 10), run(0, 9)])).toEqual({ fastest: 1 });
});
