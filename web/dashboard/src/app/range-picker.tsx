import { Button, Dialog, Field, Input, Segments } from '@asahi/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { CalendarDays } from 'lucide-react';
import { useState, type FormEvent } from 'react';

import { dayText, kRanges, rangeOf, rangeText, type Range, type RangeName } from '../lib/range';

const kDay = 86_400_000;
const kLabels: Record<RangeName, string> = { '24h': '24 h', '7d': '7 d', '30d': '30 d', '90d': '90 d', custom: 'Custom' };

/** The page's window of time; it stands in the address, so that it can be sent to others and outlives a reload. */
export function useRange(otherwise: RangeName): [Range, (range: Range) => void] {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const change = ({ range, from, to }: Range) =>
    void navigate({ to: '.', search: ((old: Record<string, unknown>) => ({ ...old, range, from, to })) as never, replace: true, resetScroll: false });
  return [rangeOf(search, otherwise), change];
}

function CustomForm({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const [from, setFrom] = useState(range.from?.slice(0, 10) ?? dayText(Date.now() - 13 * kDay));
  const [to, setTo] = useState(range.to?.slice(0, 10) ?? dayText(Date.now()));
  const next = rangeOf({ range: 'custom', from, to }, '30d');
  const wrong = next.range !== 'custom';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!wrong) onChange(next);
  };
  return (
    <form onSubmit={submit} className="mt-5 space-y-4" noValidate>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label="First day">
          {(ids) => <Input {...ids} type="date" value={from} max={to} onChange={(event) => setFrom(event.target.value)} />}
        </Field>
        <Field label="Last day">
          {(ids) => <Input {...ids} type="date" value={to} min={from} onChange={(event) => setTo(event.target.value)} />}
        </Field>
      </div>
      {wrong && <p className="text-sm text-bad-text">The first day must not be after the last one, and not more than 1,000 days before it.</p>}
      <div className="flex justify-end">
        <Button type="submit" look="primary" disabled={wrong}>
          Show
        </Button>
      </div>
    </form>
  );
}

interface RangePickerProps {
  range: Range;
  onChange: (range: Range) => void;
  options?: readonly RangeName[];
}

export function RangePicker({ range, onChange, options = kRanges }: RangePickerProps) {
  const [asking, setAsking] = useState(false);
  const quick = options.filter((name) => name !== 'custom');
  return (
    <div className="flex max-w-full flex-wrap items-center gap-2">
      <Segments
        label="Time range"
        value={range.range}
        options={quick.map((value) => ({ value, label: kLabels[value] }))}
        onChange={(name) => onChange({ range: name })}
      />
      {options.includes('custom') && (
        <>
          <Button className={range.range === 'custom' ? 'border-accent px-3 text-ink' : 'px-3'} onClick={() => setAsking(true)} aria-haspopup="dialog">
            <CalendarDays aria-hidden className="size-4" />
            {range.range === 'custom' ? rangeText(range) : 'Custom'}
          </Button>
          <Dialog open={asking} onOpenChange={setAsking} title="Custom range" description="Whole days in UTC, both included.">
            <CustomForm range={range} onChange={(next) => (onChange(next), setAsking(false))} />
          </Dialog>
        </>
      )}
    </div>
  );
}
