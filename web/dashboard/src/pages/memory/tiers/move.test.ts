import { describe, expect, it } from 'vitest';

import type { BackendMove } from '../../../api/memory';
import { copiedText, isMoving, kNewMove, moveRequest, placeText, shareCopied, wrongDays } from './move';

const move: BackendMove = {
  id: 'hbm_1',
  phase: 'copying',
  from: { backend: 'duckdb-ssd', path: '/data/hot' },
  to: { backend: 'pgvector', pg_url_env: 'NEXT' },
  copied: 300,
  repaired: 0,
  removed: 0,
  started_at: '2026-11-23T10:00:00Z',
  window_since: null,
  revert_until: null,
  ended_at: null,
  reason: null,
};

describe('a move of the hot tier', () => {
  it('names places by their kind and by what holds the address', () => {
    expect(placeText(move.from)).toBe('own log, /data/hot');
    expect(placeText(move.to)).toBe('PostgreSQL, $NEXT');
    expect(placeText({ backend: 'pgvector', pg_url_file: '/run/url' })).toBe('PostgreSQL, /run/url');
    expect(placeText({ backend: 'pgvector' })).toBe('PostgreSQL');
    expect(placeText({ backend: 'duckdb-memory', path: ':memory:' })).toBe('in memory');
  });

  it('is so far as the old side’s writings are on the new one', () => {
    expect(shareCopied({ move, writings_left: 100 })).toBe(0.75);
    expect(shareCopied({ move: { ...move, copied: 0 }, writings_left: 0 })).toBe(1);
    expect(shareCopied({ move, writings_left: null })).toBeUndefined();
    expect(shareCopied({ move: { ...move, phase: 'finished' }, writings_left: null })).toBeUndefined();
    expect(shareCopied({ move: null, writings_left: null })).toBeUndefined();
  });

  it('goes on until its window ends', () => {
    expect([null, 'copying', 'window', 'finished', 'reverted', 'aborted'].map((phase) => isMoving(phase === null ? null : { ...move, phase: phase as BackendMove['phase'] }))).toEqual([false, true, true, false, false, false]);
  });

  it('tells what was mended only where something was', () => {
    expect(copiedText({ ...move, copied: 1 })).toBe('1 memory, each read back and compared');
    expect(copiedText({ ...move, repaired: 2, removed: 3 })).toBe('300 memories, each read back and compared; 2 made anew; 3 erased there that only the new one had');
  });

  it('is asked for with what was typed, and with nothing else', () => {
    expect(moveRequest(kNewMove)).toEqual({ backend: 'pgvector' });
    expect(moveRequest({ ...kNewMove, place: ' /run/url ', days: '0' })).toEqual({ backend: 'pgvector', pg_url_file: '/run/url', revert_days: 0 });
    expect(moveRequest({ ...kNewMove, place: 'NEXT', holder: 'pg_url_env' })).toEqual({ backend: 'pgvector', pg_url_env: 'NEXT' });
    expect(moveRequest({ ...kNewMove, backend: 'duckdb-ssd', place: '/data/b', replace: true })).toEqual({ backend: 'duckdb-ssd', path: '/data/b', replace: true });
    expect(['', '0', '365', '366', '-1', '1.5', 'x'].map((days) => wrongDays({ ...kNewMove, days }))).toEqual([false, false, false, true, true, true, true]);
  });
});
