import { Field, Slider } from '@asahi/ui';
import { useState } from 'react';

import { count, percent } from '../../lib/format';
import { savingsOf, type Traffic } from './savings';

const usd = (amount: number): string => `$${count(Math.round(amount))}`;

/** What a month could cost; the assumptions stand beside the sum. */
export function Calculator() {
  const [traffic, setTraffic] = useState<Traffic>({ spend: 5_000, repeated: 0.35, easy: 0.7 });
  const { after, saved, share } = savingsOf(traffic);
  const set = (name: keyof Traffic) => (event: { target: { value: string } }) => setTraffic({ ...traffic, [name]: Number(event.target.value) });
  return (
    <div className="grid gap-8 rounded-2xl border border-line bg-panel p-6 sm:p-8 lg:grid-cols-2">
      <div className="space-y-6">
        <Field label="What you pay now, a month" aside={usd(traffic.spend)} hint="With one top model for everything.">
          {(ids) => <Slider {...ids} min={100} max={50_000} step={100} value={traffic.spend} onChange={set('spend')} />}
        </Field>
        <Field label="Questions asked before" aside={percent(traffic.repeated)} hint="In the same or in other words: the cache answers them for nothing.">
          {(ids) => <Slider {...ids} min={0} max={0.9} step={0.05} value={traffic.repeated} onChange={set('repeated')} />}
        </Field>
        <Field label="Of the rest, the easy ones" aside={percent(traffic.easy)} hint="A small model answers them well enough, at 2 % of the price (gpt-4o-mini of gpt-4-turbo, list prices).">
          {(ids) => <Slider {...ids} min={0} max={1} step={0.05} value={traffic.easy} onChange={set('easy')} />}
        </Field>
      </div>
      <div className="flex flex-col justify-center rounded-xl bg-accent-soft p-6" role="status">
        <p className="text-sm text-ink-2">You would save about</p>
        <p className="mt-1 text-[40px] leading-tight font-bold tracking-tight text-ink tabular-nums sm:text-[48px]">≈ {usd(saved)}</p>
        <p className="text-ink-2">
          a month, <strong className="text-ink">{percent(share)}</strong> of what you pay; {usd(after)} would remain.
        </p>
        <div aria-hidden className="mt-5 h-3 overflow-hidden rounded-full bg-line">
          <div className="h-full rounded-full bg-accent transition-[width] duration-200" style={{ width: `${share * 100}%` }} />
        </div>
        <p className="mt-4 text-xs text-ink-2">
          An estimate from these three numbers. <code className="font-mono">asahi benchmark</code> measures it on traffic like yours.
        </p>
      </div>
    </div>
  );
}
