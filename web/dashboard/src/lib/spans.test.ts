import { expect, test } from 'vitest';

import type { Schemas } from '../api/client';
import { attributeOf, spanRows } from './spans';

type Span = Schemas['TraceSpan'];
const span = (name: string, offset_ms: number, duration_ms: number, children: Span[] = [], more: Partial<Span> = {}): Span => ({
  span_id: name,
  name,
  stage: 'parse',
  kind: 'internal',
  offset_ms,
  duration_ms,
  status: 'ok',
  attributes: {},
  children,
  ...more,
});

test('spans stand in the order of time under the span that they belong to', () => {
  const { rows, total } = spanRows(span('call', 0, 100, [span('late', 60, 40), span('early', 0, 50, [span('inner', 10, 20)])]));
  expect(total).toBe(100);
  expect(rows.map(({ span: { name }, depth, left, width, own }) => [name, depth, left, width, own])).toEqual([
    ['call', 0, 0, 100, 10],
    ['early', 1, 0, 50, 30],
    ['inner', 2, 10, 20, 20],
    ['late', 1, 60, 40, 40],
  ]);
});

test('clock skew and streams that outlive their reply stay in the picture', () => {
  const { rows, total } = spanRows(span('call', 0, 10, [span('before', -10, 5), span('after', 8, 12), span('backwards', 5, -3)]));
  expect(total).toBe(30);
  for (const { left, width } of rows) {
    expect(left).toBeGreaterThanOrEqual(0);
    expect(left + width).toBeLessThanOrEqual(100.0001);
    expect(width).toBeGreaterThanOrEqual(0);
  }
});

test('a call of no time at all is still a bar', () => {
  expect(spanRows(span('call', 0, 0)).rows[0]).toMatchObject({ left: 0, width: 100 });
});

test('attributes are found by stage', () => {
  const root = span('call', 0, 1, [span('tier 2', 0, 1, [], { stage: 'cache.semantic', attributes: { similarity: 0.9 } })]);
  expect(attributeOf(root, 'cache.semantic', 'similarity')).toBe(0.9);
  expect(attributeOf(root, 'cache.exact', 'similarity')).toBeUndefined();
});
