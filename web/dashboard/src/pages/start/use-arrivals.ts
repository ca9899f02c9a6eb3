/** Requests as they are answered: from the event stream, or where there is none, as a growing count of the metrics. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';

import { call, get } from '../../api/client';
import { ApiError, isObject } from '../../api/errors';
import { readEvents } from '../../api/sse';
import { useLoggedOut } from '../../app/access';

export interface Arrival {
  id: string;
  /** What is known of it; undefined where only the count grew. */
  model?: string | undefined;
  cost?: number | undefined;
  latencyMs?: number | undefined;
  cacheHit?: boolean | undefined;
  error?: string | undefined;
}

const kPollMs = 2_000;
const kPauseMs = 3_000;

const text = (value: unknown): string | undefined => (typeof value === 'string' && value ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** One event of the stream; undefined when it is none. */
export function arrivalOf(data: string): Arrival | undefined {
  let event: unknown;
  try {
    event = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (!isObject(event)) return undefined;
  const id = text(event['request_id']) ?? text(event['event_id']);
  if (!id) return undefined;
  return {
    id,
    model: text(event['model_used']) ?? text(event['model']),
    cost: number(event['cost']),
    latencyMs: number(event['latency_ms']),
    cacheHit: event['cache_hit'] === true,
    error: text(event['error']),
  };
}

const sleep = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

async function follow(onArrival: (arrival: Arrival) => void, signal: AbortSignal): Promise<void> {
  const reply = await call('/analytics/stream', { accept: 'text/event-stream', signal });
  if (!reply.body) return;
  for await (const { event, data } of readEvents(reply.body)) {
    const arrival = event === 'inference' ? arrivalOf(data) : undefined;
    if (arrival) onArrival(arrival);
  }
}

async function poll(onArrival: (arrival: Arrival) => void, signal: AbortSignal): Promise<void> {
  let before: number | undefined;
  while (!signal.aborted) {
    const { total_requests: total } = await get('/metrics', { signal });
    if (before !== undefined && total > before) onArrival({ id: `${total}` });
    before = total;
    await sleep(kPollMs, signal);
  }
}

/** The newest few, newest first, and how they are learned of. */
export function useArrivals(most: number, onArrival?: (arrival: Arrival) => void): { arrivals: readonly Arrival[]; listening: boolean } {
  const [arrivals, setArrivals] = useState<readonly Arrival[]>([]);
  const [listening, setListening] = useState(false);
  const queries = useQueryClient();
  const told = useRef(onArrival);
  const loggedOut = useLoggedOut();
  useEffect(() => {
    told.current = onArrival;
  });
  useEffect(() => {
    if (loggedOut) return;
    const stop = new AbortController();
    const take = (arrival: Arrival) => {
      setArrivals((shown) => [arrival, ...shown].slice(0, most));
      told.current?.(arrival);
      void queries.invalidateQueries({ queryKey: ['metrics'] });
    };
    const run = async () => {
      let streams = true;
      while (!stop.signal.aborted) {
        try {
          setListening(true);
          await (streams ? follow(take, stop.signal) : poll(take, stop.signal));
        } catch (error) {
          if (stop.signal.aborted) return;
          // Refused or unknown for good: the count grows all the same.
          if (error instanceof ApiError && error.status >= 400 && error.status < 500) streams = false;
          setListening(false);
        }
        await sleep(streams ? kPauseMs : kPollMs, stop.signal);
      }
    };
    void run();
    return () => stop.abort();
  }, [most, queries, loggedOut]);
  return { arrivals, listening };
}
