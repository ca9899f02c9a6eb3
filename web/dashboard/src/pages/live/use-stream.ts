/** The stream of summaries into a window; it comes back by itself, and rests while nobody looks. */
import { useEffect, useState } from 'react';

import { call, transportError, type Schemas } from '../../api/client';
import { ApiError } from '../../api/errors';
import { readEvents } from '../../api/sse';
import { useLoggedOut } from '../../app/access';
import { kSlotMs, type LiveWindow } from '../../lib/live';

export type StreamState = { kind: 'connecting' } | { kind: 'live' } | { kind: 'waiting'; error: unknown } | { kind: 'refused'; error: unknown };

const kFirstWaitMs = 1_000;
const kLongestWaitMs = 15_000;

/** A refusal stays one; an outage, a full house and the end of a stream pass. */
const isFinal = (error: unknown): boolean => error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429 && error.status !== 408;

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

async function follow(window: LiveWindow, signal: AbortSignal, onState: (state: StreamState) => void, onSummary: () => void): Promise<void> {
  let wait = kFirstWaitMs;
  while (!signal.aborted) {
    onState({ kind: 'connecting' });
    try {
      const response = await call('/analytics/stream', { query: { aggregate: kSlotMs }, signal, accept: 'text/event-stream' });
      if (!response.body) throw new ApiError('The stream has no body.', { status: response.status, code: 'bad_reply' });
      onState({ kind: 'live' });
      wait = kFirstWaitMs;
      for await (const { event, data } of readEvents(response.body)) {
        if (event !== 'summary') continue;
        window.add(JSON.parse(data) as Schemas['StreamSummary'], Date.now());
        onSummary();
      }
      // Streams have an end; the next one goes on at once.
      await sleep(kFirstWaitMs, signal);
    } catch (error) {
      if (signal.aborted) return;
      const known = transportError(error, true);
      if (isFinal(known)) return onState({ kind: 'refused', error: known });
      onState({ kind: 'waiting', error: known });
      await sleep(wait, signal);
      wait = Math.min(2 * wait, kLongestWaitMs);
    }
  }
}

/** `attempt`: a new number starts anew; so does a login that was asked for again. */
export function useStream(window: LiveWindow, attempt: number, onSummary: () => void): StreamState {
  const [state, setState] = useState<StreamState>({ kind: 'connecting' });
  const loggedOut = useLoggedOut();
  useEffect(() => {
    if (loggedOut) return;
    let stop: AbortController | undefined;
    const look = () => {
      if (document.hidden) {
        stop?.abort();
        stop = undefined;
      } else if (!stop) {
        stop = new AbortController();
        void follow(window, stop.signal, setState, onSummary);
      }
    };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      stop?.abort();
    };
  }, [window, attempt, onSummary, loggedOut]);
  return state;
}
