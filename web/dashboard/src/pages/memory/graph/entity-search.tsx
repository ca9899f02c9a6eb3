import { cx, Field, Input } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useId, useState, type KeyboardEvent } from 'react';

import { entitiesQuery, type Moments } from '../../../api/memory-graph';
import { counted } from '../../../lib/format';
import { nameOf, typeOf } from '../../../lib/graph-search';

const kTyping = 200;
const kSuggested = 8;

interface EntitySearchProps {
  label: string;
  placeholder: string;
  moments: Moments;
  hint?: string;
  className?: string;
  onPick: (id: string) => void;
}

/** A field that finds entities by part of their name (ARIA combobox with a list box). */
export function EntitySearch({ label, placeholder, moments, hint, className, onPick }: EntitySearchProps) {
  const [text, setText] = useState('');
  const [words, setWords] = useState('');
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const list = useId();
  useEffect(() => {
    const timer = setTimeout(() => setWords(text.trim()), kTyping);
    return () => clearTimeout(timer);
  }, [text]);
  const found = useQuery({ ...entitiesQuery(words, kSuggested, moments), enabled: open && words !== '' });
  const entities = words === '' || found.isPlaceholderData ? [] : (found.data?.entities ?? []);
  const chosen = Math.min(at, entities.length - 1);
  const shown = open && entities.length > 0;
  const pick = (id: string) => {
    setText('');
    setWords('');
    setOpen(false);
    onPick(id);
  };
  const steer = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown) setAt((chosen + step + entities.length) % entities.length);
    else if (event.key === 'Escape' && open) setOpen(false);
    else if (event.key === 'Enter') {
      const id = shown ? entities[chosen]?.entity_id : /^[^:\s]+:\S+$/.test(text.trim()) ? text.trim() : undefined;
      if (id) pick(id);
    } else return;
    event.preventDefault();
  };
  const nothing = open && words !== '' && words === text.trim() && !found.isFetching && !found.isError && entities.length === 0;
  return (
    <div className={cx('relative', className)}>
      <Field label={label} {...(hint ? { hint } : {})}>
        {(ids) => (
          <Input
            {...ids}
            role="combobox"
            aria-expanded={shown}
            aria-controls={shown ? list : undefined}
            aria-autocomplete="list"
            aria-activedescendant={shown ? `${list}-${chosen}` : undefined}
            placeholder={placeholder}
            maxLength={200}
            autoComplete="off"
            spellCheck={false}
            value={text}
            onChange={(event) => (setText(event.target.value), setOpen(true), setAt(0))}
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={steer}
          />
        )}
      </Field>
      {shown && (
        <ul id={list} role="listbox" aria-label={label} className="absolute inset-x-0 top-full z-20 mt-1 max-h-72 overflow-y-auto rounded-lg border border-line bg-panel p-1 shadow-xl">
          {entities.map((entity, index) => (
            <li
              key={entity.entity_id}
              id={`${list}-${index}`}
              role="option"
              aria-selected={index === chosen}
              // Before the field loses the focus, and with it the list.
              onMouseDown={(event) => (event.preventDefault(), pick(entity.entity_id))}
              onMouseMove={() => setAt(index)}
              className={cx('flex cursor-pointer items-baseline gap-2 rounded px-2.5 py-1.5 text-sm', index === chosen ? 'bg-accent-soft text-ink' : 'text-ink-2')}
            >
              <span className="min-w-0 flex-1 truncate text-ink">{nameOf(entity.entity_id, entity.properties?.['name'] as string | undefined)}</span>
              <span className="shrink-0 text-xs">
                {typeOf(entity.entity_id)}, {counted(entity.total_neighbors, 'link')}
              </span>
            </li>
          ))}
        </ul>
      )}
      <p role="status" className="mt-1 min-h-4 text-xs text-ink-3">
        {found.isError && open && words ? `Not searched: ${found.error.message}` : nothing ? 'No entity is called that.' : ''}
      </p>
    </div>
  );
}
