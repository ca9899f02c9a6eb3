/** Light, dark, or what the system says. `data-theme` on the root element chooses the palette of @asahi/ui. */
import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const kEntry = 'asahi.theme';
const systemDark = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function stored(): Theme {
  try {
    const value = localStorage.getItem(kEntry);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

let current = stored();

export function applyTheme(): void {
  const dark = current === 'dark' || (current === 'system' && systemDark.matches);
  document.documentElement.dataset['theme'] = dark ? 'dark' : 'light';
}

systemDark.addEventListener('change', applyTheme);

export function setTheme(theme: Theme): void {
  current = theme;
  try {
    if (theme === 'system') localStorage.removeItem(kEntry);
    else localStorage.setItem(kEntry, theme);
  } catch {
    // Lasts as long as the page then.
  }
  applyTheme();
  for (const listener of listeners) listener();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
