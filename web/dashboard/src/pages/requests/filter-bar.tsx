import { Button, Field, Input, Select } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { useEffect, useState } from 'react';

import { modelUsageQuery } from '../../api/analytics';
import { modelsQuery } from '../../api/queries';
import type { Range } from '../../lib/range';
import type { Chosen } from '../../lib/request-search';

const kTyping = 300;

interface TextFilterProps {
  label: string;
  placeholder: string;
  value: string;
  onChange: (value: string) => void;
  className: string;
  type?: 'search';
}

/** What is typed counts once the typing stops. */
function TextFilter({ label, placeholder, value, onChange, className, type }: TextFilterProps) {
  const [typed, setTyped] = useState(value);
  const [from, setFrom] = useState(value);
  // A change from elsewhere (Back, “Clear”) replaces what was typed.
  if (from !== value) {
    setFrom(value);
    if (typed.trim() !== value) setTyped(value);
  }
  useEffect(() => {
    const wanted = typed.trim();
    if (wanted === value) return;
    const timer = setTimeout(() => onChange(wanted), kTyping);
    return () => clearTimeout(timer);
  });
  return (
    <Field label={label} hideLabel className={className}>
      {(ids) => <Input {...ids} type={type ?? 'text'} placeholder={placeholder} maxLength={200} autoComplete="off" spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />}
    </Field>
  );
}

interface FilterBarProps {
  chosen: Chosen;
  range: Range;
  onChange: (change: Partial<Record<keyof Chosen, string>>) => void;
}

export function FilterBar({ chosen, range, onChange }: FilterBarProps) {
  const used = useQuery(modelUsageQuery(range)).data ?? [];
  const tasks = useQuery(modelsQuery).data?.task_types ?? [];
  const withChosen = (values: readonly string[], one?: string) => [...new Set([...values, ...(one ? [one] : [])])].filter(Boolean).sort();
  const choose = (name: keyof Chosen, label: string, any: string, options: readonly { value: string; label: string }[]) => (
    <Field label={label} hideLabel>
      {(ids) => (
        <Select {...ids} value={chosen[name] ?? ''} onChange={(event) => onChange({ [name]: event.target.value })}>
          <option value="">{any}</option>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
  const same = (values: readonly string[]) => values.map((value) => ({ value, label: value }));
  const some = Object.keys(chosen).length > 0;
  return (
    <div className="mb-4 grid grid-cols-2 gap-2 md:grid-cols-3 xl:grid-cols-6" role="search" aria-label="Requests">
      <TextFilter
        label="Search requests"
        type="search"
        placeholder="Search id, user, model, task, reason or error"
        value={chosen.q ?? ''}
        onChange={(q) => onChange({ q })}
        className="col-span-full"
      />
      {choose('model', 'Model', 'All models', same(withChosen(used.map(({ model }) => model), chosen.model)))}
      {choose('task_type', 'Task', 'All tasks', same(withChosen(tasks, chosen.task_type)))}
      {choose('tier', 'Cache', 'Hits and misses', [
        { value: '0', label: 'Misses' },
        { value: '1', label: 'Exact hits' },
        { value: '2', label: 'Semantic hits' },
        { value: '3', label: 'Workflow hits' },
      ])}
      {choose('error', 'Outcome', 'Any outcome', [
        { value: 'false', label: 'Answered' },
        { value: 'true', label: 'Failed' },
      ])}
      <TextFilter label="User" placeholder="User" value={chosen.user ?? ''} onChange={(user) => onChange({ user })} className="" />
      <TextFilter label="API key" placeholder="API key prefix" value={chosen.api_key ?? ''} onChange={(api_key) => onChange({ api_key })} className="" />
      {some && (
        <Button look="ghost" className="justify-self-start px-3" onClick={() => onChange({ q: '', model: '', task_type: '', tier: '', error: '', user: '', api_key: '', provider: '' })}>
          <X aria-hidden className="size-4" />
          Clear
        </Button>
      )}
    </div>
  );
}
