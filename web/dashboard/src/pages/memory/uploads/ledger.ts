/** The ledger of uploads as the page shows it. Pure. */
import type { Upload } from '../../../api/memory';

const keyOf = ({ system_id, upload_id }: Upload): string => `${system_id}/${upload_id}`;

/** Trying again may help; a rejected bundle would be rejected again. */
export const worthAnotherTry = ({ state }: Upload): boolean => state === 'failed' || state === 'partial';

/** The states that it went through, with their times. */
export function wayOf({ state, discovered_at, started_at, finished_at, updated_at }: Upload): { state: string; at: string }[] {
  const way = [{ state: 'discovered', at: discovered_at }];
  if (state === 'discovered') return way;
  if (started_at) way.push({ state: 'started', at: started_at });
  way.push({ state, at: finished_at ?? updated_at });
  return way;
}

export interface Merged {
  /** What was read, in the newest form of each. */
  rows: Upload[];
  /** Came since: they wait until somebody wants them. */
  waiting: Upload[];
}

/** `read` brought up to date by `newest`, the top of the same ledger as it is now. */
export function merged(read: readonly Upload[], newest: readonly Upload[]): Merged {
  const now = new Map(newest.map((upload) => [keyOf(upload), upload]));
  const known = new Set(read.map(keyOf));
  return { rows: read.map((upload) => now.get(keyOf(upload)) ?? upload), waiting: newest.filter((upload) => !known.has(keyOf(upload))) };
}
