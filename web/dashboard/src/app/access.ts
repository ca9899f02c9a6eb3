/** Who calls and what they may do, for what the pages show. The gateway checks every call by itself. */
import { useQuery } from '@tanstack/react-query';

import type { Schemas } from '../api/client';
import { meQuery } from '../api/queries';

export type Caller = Schemas['Caller'];

/** Undefined while unknown, null when nobody is logged in. */
export const useCaller = (): Caller | null | undefined => useQuery(meQuery).data;

/** Whether the login has ended: streams rest meanwhile, and begin anew once somebody is known again. */
export const useLoggedOut = (): boolean => useCaller() === null;

/** What is not known to be forbidden is shown: the answer of the call says more than a missing page. */
export const may = (caller: Caller | null | undefined, permission: string): boolean =>
  !caller || caller.permissions.includes(permission);

/** A gateway whose authentication is off treats everyone alike. */
export const isOpen = (caller: Caller | null | undefined): boolean => caller?.kind === 'anonymous';

/** A person's address or the key's first characters. */
export function nameOf(caller: Caller): string {
  if (caller.user?.email) return caller.user.email;
  if (caller.key_prefix) return `Key ${caller.key_prefix}…`;
  return caller.user_id ?? caller.kind;
}

export const roleOf = (caller: Caller): string => caller.role ?? (caller.kind === 'api_key' ? 'API key' : caller.kind);

let known: Caller | undefined;

/** Remembers who was logged in, so that the end of a login is told from a first visit. */
export function noteCaller(caller: Caller): void {
  known = caller;
}
/** Who logs out is not asked to come back. */
export function forgetCaller(): void {
  known = undefined;
}
export const lastCaller = (): Caller | undefined => known;

/** Pages for those whom the gateway does not know yet. */
export const isPublic = (path: string): boolean => /^\/(login|welcome|signup)(\/|\?|$)/.test(path);

/** A page of this dashboard to go to after the login, from an address anyone can write. */
export const safeReturn = (from: unknown): string =>
  typeof from === 'string' && /^\/(?![/\\])/.test(from) && !isPublic(from) ? from : '/';
