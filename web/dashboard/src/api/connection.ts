/** Where the gateway is and how we sign in. Kept in the browser; components follow it through `useConnection`. */
import { useSyncExternalStore } from 'react';

export interface Connection {
  /** Address without a trailing slash; empty: where this page came from. */
  base: string;
  /** Sent as `Authorization: Bearer`; empty: none. */
  key: string;
}

const kBaseEntry = 'asahi.api-base';
const kKeyEntry = 'asahi.api-key';

/** Browsers that refuse storage (private windows, policies) still get a working page. */
function read(storage: () => Storage, entry: string): string {
  try {
    return storage().getItem(entry) ?? '';
  } catch {
    return '';
  }
}

function write(storage: () => Storage, entry: string, value: string): void {
  try {
    if (value) storage().setItem(entry, value);
    else storage().removeItem(entry);
  } catch {
    // Only this page's memory then.
  }
}

// The key goes with the tab; the address stays.
let current: Connection = {
  base: read(() => localStorage, kBaseEntry),
  key: read(() => sessionStorage, kKeyEntry),
};
const listeners = new Set<() => void>();

export const connection = (): Connection => current;

export function setConnection(next: Connection): void {
  current = { base: next.base.trim().replace(/\/+$/, ''), key: next.key.trim() };
  write(() => localStorage, kBaseEntry, current.base);
  write(() => sessionStorage, kKeyEntry, current.key);
  for (const listener of listeners) listener();
}

export function useConnection(): Connection {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, connection);
}

/** The folder of this page; with the gateway at the root that is its origin. */
export const pageBase = (): string => new URL('.', window.location.href.replace(/#.*$/, '')).href.replace(/\/+$/, '');

/** The gateway's address as examples show it. */
export const apiBase = (): string => current.base || pageBase();
