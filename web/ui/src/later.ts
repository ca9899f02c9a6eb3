/** Parts of the program that the first picture does not need: files of their own, fetched when somebody first wants them. */
import { useEffect, useEffectEvent, useReducer } from 'react';

import { useToast } from './toast';

export interface Later<T> {
  /** The part, if it is here. */
  here: () => T | undefined;
  /** Rejects while nobody answers; may be called again. */
  load: () => Promise<T>;
}

export function later<T>(importer: () => Promise<T>): Later<T> {
  let part: T | undefined;
  return { here: () => part, load: async () => (part ??= await importer()) };
}

/** The part, as soon as it was `wanted` and came. Where it cannot be had that is said, and `onAway` takes the wish back. */
export function useLater<T>(part: Later<T>, wanted: boolean, onAway: () => void): T | undefined {
  const [, redraw] = useReducer((times: number) => times + 1, 0);
  const notify = useToast();
  const failed = useEffectEvent(() => {
    notify('bad', 'This part of the dashboard was not loaded yet, and the gateway that has it does not answer.');
    onAway();
  });
  const missing = wanted && !part.here();
  useEffect(() => {
    if (!missing) return;
    let live = true;
    part.load().then(
      () => live && redraw(),
      () => live && failed(),
    );
    return () => {
      live = false;
    };
  }, [missing, part]);
  return part.here();
}
