/** Chooses several models: those of the registry by ticking, patterns such as `claude-*` by typing. */
import { Badge, Input } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Plus, X } from 'lucide-react';
import { useId, useState, type KeyboardEvent } from 'react';

import { modelsQuery } from '../api/queries';

interface ModelPickerProps {
  label: string;
  hint: string;
  values: readonly string[];
  onChange: (values: string[]) => void;
  /** Said while nothing is chosen. */
  none: string;
}

/** Patterns stand for models too. What matches nothing may be an alias, or a model that is gone. */
const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

export function ModelPicker({ label, hint, values, onChange, none }: ModelPickerProps) {
  const id = useId();
  const [text, setText] = useState('');
  const models = useQuery(modelsQuery).data?.models ?? [];
  const wanted = text.trim();
  const listed = models.filter(({ name, provider }) => `${provider} ${name}`.toLowerCase().includes(wanted.toLowerCase().replace(/\*$/, '')));
  const known = (value: string) => models.some(({ name }) => matches(value, name));
  const own = wanted !== '' && !values.includes(wanted) && !models.some(({ name }) => name === wanted);
  const add = (value: string) => (onChange([...values.filter((other) => other !== value), value]), setText(''));
  const remove = (value: string) => onChange(values.filter((other) => other !== value));
  const keys = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !wanted) return;
    // Enter here chooses; it does not send the form.
    event.preventDefault();
    const only = listed.length === 1 && !wanted.endsWith('*') ? listed[0]?.name : undefined;
    add(only ?? wanted);
  };
  return (
    <fieldset className="min-w-0">
      <legend className="text-sm font-medium text-ink">{label}</legend>
      <p className="mt-0.5 mb-2 text-xs text-ink-3">{hint}</p>
      <ul aria-label={`${label}: chosen`} className="mb-2 flex min-h-7 flex-wrap items-center gap-1.5">
        {values.length === 0 && <li className="text-sm text-ink-3">{none}</li>}
        {values.map((value) => (
          <li key={value} className="max-w-full">
            <Badge tone={models.length === 0 || known(value) ? 'accent' : 'warn'} className="max-w-full pr-1" {...(known(value) ? {} : { title: 'No listed model is called so: an alias, or a model that is gone.' })}>
              <span className="truncate">{value}</span>
              {models.length > 0 && !known(value) && <span className="font-normal">(not listed)</span>}
              <button type="button" aria-label={`Remove ${value} from ${label}`} onClick={() => remove(value)} className="grid size-5 place-items-center rounded-full hover:bg-line">
                <X aria-hidden className="size-3.5" />
              </button>
            </Badge>
          </li>
        ))}
      </ul>
      <Input
        id={id}
        aria-label={`Find models for ${label}`}
        placeholder="Find a model, or type a pattern such as claude-*"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={keys}
      />
      <div className="mt-2 max-h-44 space-y-0.5 overflow-y-auto rounded-lg border border-line p-1.5" tabIndex={-1}>
        {own && (
          <button type="button" onClick={() => add(wanted)} className="flex w-full items-center gap-2 rounded-md px-2 py-1.5 text-left text-sm text-accent-text hover:bg-sunken">
            <Plus aria-hidden className="size-4 shrink-0" />
            <span className="min-w-0 break-all">Add “{wanted}”</span>
          </button>
        )}
        {listed.map(({ name, provider }) => (
          <label key={name} className="flex cursor-pointer items-center gap-2.5 rounded-md px-2 py-1.5 text-sm hover:bg-sunken">
            <input
              type="checkbox"
              className="size-4 shrink-0 accent-accent"
              checked={values.includes(name)}
              onChange={(event) => (event.target.checked ? add(name) : remove(name))}
            />
            <span className="min-w-0 flex-1 truncate text-ink">{name}</span>
            <span className="text-xs text-ink-3">{provider}</span>
          </label>
        ))}
        {listed.length === 0 && !own && <p className="px-2 py-1.5 text-sm text-ink-3">No model matches.</p>}
      </div>
    </fieldset>
  );
}
