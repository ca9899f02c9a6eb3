/** Keys that lead somewhere from anywhere: Ctrl or ⌘ with K, `g` and a letter, `?`. */
import { useEffect, useRef } from 'react';

import type { Page } from './pages';

/** Time for the letter after `g`. */
const kPauseMs = 1_500;

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
const covered = (): boolean => document.querySelector('[role="dialog"], [role="menu"]') !== null;

interface Handlers {
  onPalette: () => void;
  onHelp: () => void;
  onGo: (to: string) => void;
}

export function useShortcuts(pages: readonly Page[], { onPalette, onHelp, onGo }: Handlers): void {
  const handle = useRef<(event: KeyboardEvent) => void>(() => undefined);
  const going = useRef(0);
  useEffect(() => {
    handle.current = (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        onPalette();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || covered()) return;
      if (event.key === '?') {
        event.preventDefault();
        onHelp();
        return;
      }
      const key = event.key.toLowerCase();
      const page = event.timeStamp - going.current < kPauseMs && pages.find((candidate) => candidate.key === key);
      going.current = 0;
      if (page) {
        event.preventDefault();
        onGo(page.to);
      } else if (key === 'g') {
        going.current = event.timeStamp;
      }
    };
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent) => handle.current(event);
    window.addEventListener('keydown', listener);
    return () => window.removeEventListener('keydown', listener);
  }, []);
}

export function Kbd({ children }: { children: string }) {
  return <kbd className="inline-grid min-w-6 place-items-center rounded border border-line bg-sunken px-1.5 font-mono text-xs leading-5 text-ink-2">{children}</kbd>;
}
