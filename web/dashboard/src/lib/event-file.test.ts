import { expect, test } from 'vitest';

import type { Schemas } from '../api/client';
import { headOf, linesOf } from './event-file';

const event = { request_id: 'req_1', model_used: 'gpt-4o', user_id: '=HYPERLINK("x")', routing_reason: 'a, "b"\nc', cost: 0.000012, cache_hit: false, error: null } as Schemas['InferenceEvent'];

test('CSV quotes what has to be quoted, and no cell is a formula', () => {
  const line = linesOf([event], 'csv');
  expect(line).toContain('"a, ""b""\nc"');
  expect(line).toContain(`"'=HYPERLINK(""x"")"`);
  expect(line).toContain(',0.000012,');
  expect(line.endsWith('\r\n')).toBe(true);
  expect(headOf('csv').split(',')).toHaveLength(25);
});

test('a line of NDJSON is the event as it came', () => {
  expect(JSON.parse(linesOf([event], 'ndjson'))).toEqual(event);
  expect(headOf('ndjson')).toBe('');
  expect(linesOf([], 'csv')).toBe('');
});
