import { expect, test } from 'vitest';

import type { Upload } from '../../../api/memory';
import { merged, wayOf, worthAnotherTry } from './ledger';

const upload = (upload_id: string, state: Upload['state'] = 'done'): Upload => ({
  system_id: 's',
  upload_id,
  origin: 'bucket',
  state,
  attempts: 1,
  counts: {},
  error: null,
  bad_items: [],
  discovered_at: '2026-11-22T14:02:11Z',
  updated_at: '2026-11-22T14:07:40Z',
  started_at: '2026-11-22T14:02:12Z',
  finished_at: null,
});

test('new uploads wait; those that are shown become what they are now, in their place', () => {
  const { rows, waiting } = merged([upload('b', 'processing'), upload('a')], [upload('c'), upload('b', 'done'), upload('a')]);
  expect(rows.map(({ upload_id, state }) => `${upload_id} ${state}`)).toEqual(['b done', 'a done']);
  expect(waiting.map(({ upload_id }) => upload_id)).toEqual(['c']);
  expect(merged([], []).rows).toEqual([]);
});

test('only what may go better is tried again', () => {
  const states = ['discovered', 'leased', 'processing', 'done', 'partial', 'rejected', 'failed'] as const;
  expect(states.filter((state) => worthAnotherTry(upload('x', state)))).toEqual(['partial', 'failed']);
});

test('an upload tells its way so far', () => {
  expect(wayOf(upload('x', 'discovered')).map(({ state }) => state)).toEqual(['discovered']);
  expect(wayOf(upload('x', 'failed'))).toEqual([
    { state: 'discovered', at: '2026-11-22T14:02:11Z' },
    { state: 'started', at: '2026-11-22T14:02:12Z' },
    { state: 'failed', at: '2026-11-22T14:07:40Z' },
  ]);
});
