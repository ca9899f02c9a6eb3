/** Keys that lead somewhere from anywhere: Ctrl or ⌘ with K, `g` and a letter, `?`. */
import { Dialog } from '@asahi/ui';
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

export function ShortcutHelp({ open, onOpenChange, pages }: { open: boolean; onOpenChange: (open: boolean) => void; pages: readonly Page[] }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard shortcuts" description="They work wherever no text is being typed.">
      <dl className="mt-5 grid gap-x-8 gap-y-2.5 text-sm sm:grid-cols-2">
        <Shortcut label="Find a page or command" keys={['Ctrl', 'K']} />
        <Shortcut label="This help" keys={['?']} />
        {pages.map(({ label, key }) => (
          <Shortcut key={key} label={label} keys={['g', key]} />
        ))}
      </dl>
    </Dialog>
  );
}

function Shortcut({ label, keys }: { label: string; keys: readonly string[] }) {
  return (
    <div className="flex items-center justify-between gap-3">
      <dt className="text-ink-2">{label}</dt>
      <dd className="flex gap-1">
        {keys.map((key) => (
          <Kbd key={key}>{key}</Kbd>
        ))}
      </dd>
    </div>
  );
}
