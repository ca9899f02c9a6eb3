import { expect, test } from 'vitest';

import { rank } from './rank';

const items = [
  { label: 'Dashboard', group: 'Go to', words: 'overview home' },
  { label: 'API Keys', group: 'Go to', words: 'access create' },
  { label: 'Create an API key', group: 'Do' },
  { label: 'Theme: dark', group: 'Do' },
];
const labels = (text: string) => rank(items, text).map(({ label }) => label);

test('without text everything is offered in its order', () => {
  expect(labels(' ')).toEqual(items.map(({ label }) => label));
});

test('words are found by their beginnings, in any order and case, the label first', () => {
  expect(labels('KEY ap')).toEqual(['API Keys', 'Create an API key']);
  expect(labels('create')).toEqual(['Create an API key', 'API Keys']);
  expect(labels('over')).toEqual(['Dashboard']);
  expect(labels('board')).toEqual([]);
});
