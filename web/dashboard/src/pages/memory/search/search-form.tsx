import { Button, Field, Input, Segments, Select } from '@asahi/ui';
import { Search } from 'lucide-react';
import { useState, type FormEvent } from 'react';

import { kTiers, toggled, type MemoryChoice } from '../../../lib/memory-search';

const kModes = [
  { value: 'hybrid', label: 'Both' },
  { value: 'semantic', label: 'Meaning' },
  { value: 'keyword', label: 'Words' },
] as const;

const kThresholds = ['0.3', '0.5', '0.7', '0.8', '0.9'] as const;
const kNames = { hot: 'Hot', warm: 'Warm', cold: 'Cold' } as const;

interface SearchFormProps {
  choice: MemoryChoice;
  onChange: (choice: MemoryChoice) => void;
  busy: boolean;
}

/** Words are asked for when they are sent; the rest at once. */
export function SearchForm({ choice, onChange, busy }: SearchFormProps) {
  const [typed, setTyped] = useState(choice.q);
  const [from, setFrom] = useState(choice.q);
  // A change from elsewhere (Back) replaces what was typed.
  if (from !== choice.q) {
    setFrom(choice.q);
    setTyped(choice.q);
  }
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onChange({ ...choice, q: typed.trim() });
  };
  const days = (change: { from?: string; to?: string }) => {
    const { from: first, to: last, ...rest } = { ...choice, ...change };
    onChange({ ...rest, ...(first ? { from: first } : {}), ...(last ? { to: last } : {}) });
  };
  return (
    <form role="search" aria-label="Memories" onSubmit={submit} className="space-y-3">
      <div className="flex gap-2">
        <Field label="Search memories" hideLabel className="flex-1">
          {(ids) => (
            <Input
              {...ids}
              type="search"
              placeholder="What any agent said, did or learned"
              maxLength={1000}
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" look="primary" busy={busy}>
          {!busy && <Search aria-hidden className="size-4" />}
          Search
        </Button>
      </div>
      <div className="flex flex-wrap items-end gap-x-4 gap-y-3">
        <Segments label="Search by" value={choice.mode} options={kModes} onChange={(mode) => onChange({ ...choice, mode })} />
        <fieldset className="flex flex-wrap items-center gap-x-4 gap-y-1 py-1.5 text-sm text-ink">
          <legend className="sr-only">Tiers to search</legend>
          {kTiers.map((tier) => (
            <label key={tier} className="flex cursor-pointer items-center gap-2">
              <input type="checkbox" className="size-4 accent-accent" checked={choice.tiers.includes(tier)} onChange={() => onChange(toggled(choice, 'tier', tier))} />
              {kNames[tier]}
            </label>
          ))}
        </fieldset>
        <div className="flex min-w-0 flex-wrap items-center gap-2 text-sm text-ink-3">
          <span aria-hidden>from</span>
          <Field label="First day" hideLabel className="w-36">
            {(ids) => <Input {...ids} type="date" title="First day (UTC)" value={choice.from ?? ''} max={choice.to} onChange={(event) => days({ from: event.target.value })} />}
          </Field>
          <span aria-hidden>to</span>
          <Field label="Last day" hideLabel className="w-36">
            {(ids) => <Input {...ids} type="date" title="Last day (UTC)" value={choice.to ?? ''} min={choice.from} onChange={(event) => days({ to: event.target.value })} />}
          </Field>
          {choice.mode !== 'keyword' && (
            <Field label="Least likeness" hideLabel className="w-40">
              {(ids) => (
                <Select
                  {...ids}
                  value={choice.threshold ?? ''}
                  onChange={(event) => {
                    const { threshold, ...rest } = choice;
                    onChange(event.target.value === '' ? rest : { ...rest, threshold: Number(event.target.value) });
                  }}
                >
                  <option value="">{choice.mode === 'semantic' ? 'Alike from 0.70' : 'However alike'}</option>
                  {[...new Set([...kThresholds, ...(choice.threshold === undefined ? [] : [String(choice.threshold)])])].map((value) => (
                    <option key={value} value={value}>
                      Alike from {Number(value).toFixed(2)}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          )}
        </div>
      </div>
    </form>
  );
}
