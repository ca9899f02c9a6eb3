import { expect, test } from 'vitest';

import type { Schemas } from '../api/client';
import { LiveWindow } from './live';

const start = Date.parse('2026-11-22T08:00:00Z');
const summary = (atMs: number, requests: number, more: Partial<Schemas['StreamSummary']> = {}): Schemas['StreamSummary'] => ({
  from: new Date(start + atMs).toISOString(),
  to: new Date(start + atMs + 100).toISOString(),
  requests,
  errors: 0,
  cost: requests * 0.001,
  savings: 0,
  hits: 0,
  hits_by_tier: { '1': 0, '2': 0, '3': 0 },
  p50_latency_ms: 10,
  input_tokens: 0,
  output_tokens: 0,
  by_model: { a: requests },
  ...more,
});

test('a thousand requests a second are added up exactly, in bounded room', () => {
  const live = new LiveWindow();
  for (let at = 0; at < 120_000; at += 100) live.add(summary(at, 100), start + at + 100);
  const figures = live.figures(start + 120_000);
  expect(figures.total).toBe(120_000);
  expect(figures.rate).toBeCloseTo(1000, -2);
  expect(figures.requests).toBeLessThanOrEqual(60_000);
  expect(live.slots(start + 120_000).length).toBeLessThanOrEqual(600);
});

test('the minute passes also when nothing comes in', () => {
  const live = new LiveWindow();
  live.add(summary(0, 5, { errors: 1, hits: 2 }), start);
  expect(live.figures(start + 1_000)).toMatchObject({ total: 5, requests: 5, errors: 1, hits: 2, rate: 1, p50: 10 });
  expect(live.figures(start + 61_000)).toMatchObject({ total: 5, requests: 0, rate: 0, p50: undefined, models: [] });
});

test('a wrong clock here does not move what is shown', () => {
  const live = new LiveWindow();
  const ahead = 3_600_000;
  live.add(summary(0, 1), start + 100 + ahead + 40);
  live.add(summary(100, 1), start + 200 + ahead + 5);
  expect(live.serverTime(start + 1_000 + ahead)).toBe(start + 995);
});

test('two summaries of one moment are one slot, and nonsense is none', () => {
  const live = new LiveWindow();
  live.add(summary(0, 1, { p50_latency_ms: 10 }), start);
  live.add(summary(0, 3, { p50_latency_ms: 30, by_model: { b: 3 } }), start);
  live.add(summary(0, 7, { from: 'never' }), start);
  expect(live.slots(start + 10)).toHaveLength(1);
  expect(live.figures(start + 10)).toMatchObject({ total: 4, p50: 25 });
  expect(live.figures(start + 10).models).toEqual([{ name: 'b', requests: 3 }, { name: 'a', requests: 1 }]);
});
