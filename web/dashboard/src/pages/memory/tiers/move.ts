/** The move of the hot tier to another backend, as the page shows it and asks for it. Pure. */
import type { Backend, BackendMove, BackendPlace, BackendRequest } from '../../../api/memory';
import { count, counted } from '../../../lib/format';
import { numberOf } from '../../../lib/forms';

/** Of `revert_days`, as the API has it. */
export const kMostDays = 365;
const kNames: Record<BackendPlace['backend'], string> = { 'duckdb-memory': 'in memory', 'duckdb-ssd': 'own log', pgvector: 'PostgreSQL' };

/** Kind and place of a backend; what holds its address, never the address. */
export function placeText({ backend, path, pg_url_file, pg_url_env }: BackendPlace): string {
  const where = path ?? pg_url_file ?? (pg_url_env ? `$${pg_url_env}` : undefined);
  return backend !== 'duckdb-memory' && where ? `${kNames[backend]}, ${where}` : kNames[backend];
}

/** Whether it can be taken back, and then ended. */
export const isMoving = (move: BackendMove | null): boolean => move?.phase === 'copying' || move?.phase === 'window';

/** How much of what the old side has written is on the new one, 0 to 1; undefined: that is not known. */
export function shareCopied({ move, writings_left: left }: Pick<Backend, 'move' | 'writings_left'>): number | undefined {
  if (!move || !isMoving(move) || left === null) return undefined;
  const all = move.copied + left;
  return all === 0 ? 1 : move.copied / all;
}

/** What was copied, and what had to be mended; each row is read back and compared. */
export function copiedText({ copied, repaired, removed }: BackendMove): string {
  const parts = [`${counted(copied, 'memory', 'memories')}, each read back and compared`];
  if (repaired > 0) parts.push(`${count(repaired)} made anew`);
  if (removed > 0) parts.push(`${count(removed)} erased there that only the new one had`);
  return parts.join('; ');
}

/** What is typed to begin a move. */
export interface MoveForm {
  backend: BackendRequest['backend'];
  /** Of the own log: a folder; of PostgreSQL: what holds its address. Empty: as configured. */
  place: string;
  holder: 'pg_url_file' | 'pg_url_env';
  /** Empty: as configured. */
  days: string;
  replace: boolean;
}
export const kNewMove: MoveForm = { backend: 'pgvector', place: '', holder: 'pg_url_file', days: '', replace: false };

/** Whether the window's length is nothing that the API takes. */
export function wrongDays({ days }: MoveForm): boolean {
  const value = numberOf(days, { whole: true });
  return value === undefined || (value !== null && value > kMostDays);
}

export function moveRequest(form: MoveForm): Partial<BackendRequest> & Pick<BackendRequest, 'backend'> {
  const place = form.place.trim();
  const days = numberOf(form.days, { whole: true });
  return {
    backend: form.backend,
    ...(place === '' ? {} : { [form.backend === 'pgvector' ? form.holder : 'path']: place }),
    ...(days === undefined || days === null ? {} : { revert_days: days }),
    ...(form.replace ? { replace: true } : {}),
  };
}
