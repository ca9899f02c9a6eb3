/** One run of the playground at a time: its answer so far, how it ended, and the runs before it. */
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import { ask, type Facts, type Question } from '../../api/ask';

export interface Run {
  question: Question;
  state: 'waiting' | 'streaming' | 'done' | 'failed' | 'cancelled';
  text: string;
  startedAt: number;
  /** Measured here, from the click; network included. */
  firstTextMs?: number;
  totalMs?: number;
  facts?: Facts;
  error?: unknown;
}

const kMostRuns = 20;
let past: readonly Run[] = [];
const listeners = new Set<() => void>();

function remember(run: Run): void {
  // A vendor's key is for one call; it is not kept.
  past = [{ ...run, question: { ...run.question, vendorKey: undefined } }, ...past].slice(0, kMostRuns);
  for (const listener of listeners) listener();
}

export function forgetRuns(): void {
  past = [];
  for (const listener of listeners) listener();
}

/** Runs that ended, newest first; they last as long as the page. */
export function usePastRuns(): readonly Run[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => past,
  );
}

const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

export function useRun() {
  const [run, setRun] = useState<Run>();
  const stop = useRef<AbortController>(undefined);
  const queries = useQueryClient();

  // Leaving the page ends the request.
  useEffect(() => () => stop.current?.abort(), []);

  const start = useCallback(
    async (question: Question) => {
      stop.current?.abort();
      const controller = new AbortController();
      stop.current = controller;
      const begin = performance.now();
      let now: Run = { question, state: 'waiting', text: '', startedAt: Date.now() };
      const show = (change: Partial<Run>) => {
        now = { ...now, ...change };
        if (stop.current === controller) setRun(now);
      };
      show({});
      try {
        for await (const event of ask(question, controller.signal)) {
          if (event.kind === 'done') show({ facts: event.facts });
          else if (now.text) show({ text: now.text + event.text });
          else show({ state: 'streaming', text: event.text, firstTextMs: performance.now() - begin });
        }
        show({ state: 'done', totalMs: performance.now() - begin });
      } catch (error) {
        const totalMs = performance.now() - begin;
        show(isAbort(error) ? { state: 'cancelled', totalMs } : { state: 'failed', error, totalMs });
      }
      remember(now);
      void queries.invalidateQueries({ queryKey: ['metrics'] });
      void queries.invalidateQueries({ queryKey: ['analytics'] });
      void queries.invalidateQueries({ queryKey: ['cache'] });
    },
    [queries],
  );

  return {
    run,
    running: run?.state === 'waiting' || run?.state === 'streaming',
    start,
    cancel: useCallback(() => stop.current?.abort(), []),
    clear: useCallback(() => setRun(undefined), []),
  };
}
