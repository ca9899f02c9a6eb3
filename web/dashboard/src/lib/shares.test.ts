import { expect, test } from 'vitest';

import { partsOf } from './shares';

test('the largest parts stand alone, the rest together, and nothing is lost', () => {
  const amounts = [5, 1, 9, 0, 2, 3].map((value, i) => ({ name: `m${i}`, value }));
  const parts = partsOf(amounts, 3);
  expect(parts.map(({ name, value }) => [name, value])).toEqual([['m2', 9], ['m0', 5], ['m5', 3], ['2 others', 3]]);
  expect(partsOf(amounts, 4)).toHaveLength(5);
  expect(partsOf([], 3)).toEqual([]);
  expect(partsOf([{ name: 'free', value: 0 }], 3)).toEqual([]);
});
