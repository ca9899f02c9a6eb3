/** Ctrl-K: one field that finds pages and commands. The list is steered from the field (ARIA combobox with a list box). */
import { cx, Popup } from '@asahi/ui';
import { Search, type LucideIcon } from 'lucide-react';
import { useEffect, useId, useRef, useState, type KeyboardEvent } from 'react';

import { rank } from './rank';
import { Kbd } from './shortcuts';

export interface Command {
  id: string;
  label: string;
  /** Stands before it, quietly. */
  group: string;
  icon: LucideIcon;
  words?: string;
  keys?: readonly string[];
  run: () => void;
}

function Finder({ commands, onDone }: { commands: readonly Command[]; onDone: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const current = useRef<HTMLLIElement>(null);
  const found = rank(commands, text);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => {
    // Newer browsers answer with a promise, which is no way to clean up.
    void current.current?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onDone();
    command.run();
  };
  const steer = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length > 0) setAt((chosen + step + found.length) % found.length);
    else if (event.key === 'Enter') run(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <div className="flex items-center gap-3 border-b border-line px-4">
        <Search aria-hidden className="size-4 shrink-0 text-ink-3" />
        <input
          role="combobox"
          aria-label="Find a page or command"
          aria-expanded={found.length > 0}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={found[chosen] ? `${list}-${found[chosen].id}` : undefined}
          placeholder="Find a page or command"
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={(event) => (setText(event.target.value), setAt(0))}
          onKeyDown={steer}
          className="h-12 w-full min-w-0 bg-transparent text-sm text-ink outline-none"
        />
        <Kbd>Esc</Kbd>
      </div>
      <ul id={list} role="listbox" aria-label="Pages and commands" className="max-h-[min(22rem,60vh)] overflow-y-auto p-2">
        {found.map((command, index) => (
          <li
            key={command.id}
            id={`${list}-${command.id}`}
            ref={index === chosen ? current : undefined}
            role="option"
            aria-selected={index === chosen}
            onMouseMove={() => setAt(index)}
            onClick={() => run(command)}
            className={cx('flex cursor-pointer items-center gap-3 rounded-lg px-3 py-2 text-sm', index === chosen ? 'bg-accent-soft text-ink' : 'text-ink-2')}
          >
            <command.icon aria-hidden className="size-4 shrink-0" />
            <span className="min-w-0 flex-1 truncate">
              <span className="text-ink-3">{command.group} </span>
              {command.label}
            </span>
            {command.keys && (
              <span className="flex gap-1 max-sm:hidden">
                {command.keys.map((key) => (
                  <Kbd key={key}>{key}</Kbd>
                ))}
              </span>
            )}
          </li>
        ))}
      </ul>
      <p role="status" className={cx('px-4 pb-4 text-sm text-ink-3', found.length > 0 && 'sr-only')}>
        {found.length > 0 ? `${found.length} found` : 'Nothing is called that.'}
      </p>
    </>
  );
}

export function Palette({ open, onOpenChange, commands }: { open: boolean; onOpenChange: (open: boolean) => void; commands: readonly Command[] }) {
  return (
    <Popup open={open} onOpenChange={onOpenChange} title="Find a page or command">
      <Finder commands={commands} onDone={() => onOpenChange(false)} />
    </Popup>
  );
}
