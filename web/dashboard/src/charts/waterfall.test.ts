import { expect, test } from 'vitest';

import { fallingBars, type Step } from './waterfall';

const total = (amount: number): Step => ({ name: 't', amount, kind: 'total' });
const saving = (amount: number): Step => ({ name: 's', amount, kind: 'saving' });
const places = (steps: Step[]) => fallingBars(steps).map(({ left, width }) => [left, width]);

test('savings hang one below the other, down to what was paid', () => {
  expect(places([total(10), saving(4), saving(1), total(5)])).toEqual([
    [0, 100],
    [60, 40],
    [50, 10],
    [0, 50],
  ]);
});

test('a step that cost more goes the other way, also above the start', () => {
  expect(places([total(4), saving(-4), total(8)])).toEqual([
    [0, 50],
    [50, 50],
    [0, 100],
  ]);
});

test('nothing at all is drawn as nothing', () => {
  expect(places([total(0), saving(0), total(0)])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
  expect(fallingBars([])).toEqual([]);
});
