import { expect, test } from 'vitest';

import { instantIn, isTimezone } from './timezone';

const iso = (local: string, zone: string) => new Date(instantIn(local, zone)).toISOString();

test('a time is meant in the chosen zone, in summer and in winter', () => {
  expect(iso('2026-11-22T08:30', 'Europe/Vienna')).toBe('2026-11-22T07:30:00.000Z');
  expect(iso('2026-07-01T08:30', 'Europe/Vienna')).toBe('2026-07-01T06:30:00.000Z');
  expect(iso('2026-11-22T08:30', 'Asia/Kolkata')).toBe('2026-11-22T03:00:00.000Z');
  expect(iso('2026-11-22T08:30', 'UTC')).toBe('2026-11-22T08:30:00.000Z');
});

test('the hour after clocks change is the hour that they show', () => {
  expect(iso('2026-03-29T03:30', 'Europe/Vienna')).toBe('2026-03-29T01:30:00.000Z');
  expect(iso('2026-11-01T12:00', 'America/New_York')).toBe('2026-11-01T17:00:00.000Z');
});

test('what is no time or no zone is said', () => {
  expect(instantIn('soon', 'UTC')).toBeNaN();
  expect([isTimezone('Asia/Tokyo'), isTimezone('Mars/Olympus')]).toEqual([true, false]);
});
