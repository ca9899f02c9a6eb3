import { expect, test } from 'vitest';

import { instantOf, listOf, numberOf, textOf } from './forms';

test('lists may be separated by commas, blanks and lines, and hold each entry once', () => {
  expect(listOf(' gpt-4o, claude-*\n\ngpt-4o  mock ')).toEqual(['gpt-4o', 'claude-*', 'mock']);
  expect(listOf(' , ')).toEqual([]);
});

test('an empty number is none, a bad one is said', () => {
  expect(numberOf('  ')).toBeNull();
  expect(numberOf('0')).toBe(0);
  expect(numberOf('2.5')).toBe(2.5);
  expect(numberOf('2.5', { whole: true })).toBeUndefined();
  expect(numberOf('0', { least: 1 })).toBeUndefined();
  expect(numberOf('ten')).toBeUndefined();
  expect([textOf(null), textOf(0), textOf(12)]).toEqual(['', '0', '12']);
});

test('times become UTC; half-typed ones are left out', () => {
  expect(instantOf('2026-11-21T10:00')).toBe(new Date(2026, 10, 21, 10).toISOString());
  expect(instantOf('')).toBeUndefined();
  expect(instantOf('2026-11')).toBe(new Date('2026-11').toISOString());
  expect(instantOf('soon')).toBeUndefined();
});
