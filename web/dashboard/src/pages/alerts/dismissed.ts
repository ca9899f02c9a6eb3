/** Recommendations that this browser does not want to see, by id: the same finding has the same id. */
import { useSyncExternalStore } from 'react';

const kEntry = 'asahi.dismissed-recommendations';
const kMost = 200;
const listeners = new Set<() => void>();

function stored(): readonly string[] {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(kEntry) ?? '[]');
    return Array.isArray(read) ? read.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

let current = stored();

export function setDismissed(ids: readonly string[]): void {
  current = ids.slice(-kMost);
  try {
    localStorage.setItem(kEntry, JSON.stringify(current));
  } catch {
    // Until the page is left then.
  }
  for (const listener of listeners) listener();
}

export function useDismissed(): readonly string[] {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => current);
}
