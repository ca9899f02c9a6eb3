import { Badge, Card, ErrorState } from '@asahi/ui';
import { ChevronDown, ChevronRight } from 'lucide-react';
import { Fragment } from 'react';

import type { TierStatus } from '../../../api/memory';
import { bytes, count, dateTime } from '../../../lib/format';

export const kTiers = [
  { name: 'hot', label: 'Hot', what: 'the newest, with their full text and vectors' },
  { name: 'warm', label: 'Warm', what: 'older ones, with a summary and small vectors' },
  { name: 'cold', label: 'Cold', what: 'the oldest, in files of an object store' },
] as const;

function TierCard({ label, what, tier, onRetry, retrying }: { label: string; what: string; tier: TierStatus | undefined; onRetry: () => void; retrying: boolean }) {
  if (tier?.health === 'unavailable')
    return <ErrorState title={`The ${label.toLowerCase()} tier does not answer`} cause={tier.error ?? 'It gave no reason.'} hint="Searches go on without it, and say so." onRetry={onRetry} retrying={retrying} />;
  const facts: [string, string][] = [
    ['Size', tier ? bytes(tier.bytes ?? 0) : '–'],
    ['Oldest', tier?.oldest ? dateTime(tier.oldest) : '–'],
    ['Newest', tier?.newest ? dateTime(tier.newest) : '–'],
  ];
  return (
    <Card className="h-full">
      <div className="flex items-center justify-between gap-2">
        <h2 className="text-base font-semibold text-ink">{label}</h2>
        {tier ? (
          <Badge tone="ok" dot>
            healthy
          </Badge>
        ) : (
          <Badge>not in use</Badge>
        )}
      </div>
      <p className="mt-0.5 text-sm text-ink-3">{what}</p>
      <p className="mt-3 text-[28px] leading-9 font-semibold tracking-tight text-ink tabular-nums">{tier ? count(tier.records ?? 0) : '–'}</p>
      <p className="text-xs text-ink-3">{tier?.records === 1 ? 'memory' : 'memories'}</p>
      <dl className="mt-3 space-y-1 text-sm">
        {facts.map(([name, value]) => (
          <div key={name} className="flex justify-between gap-3">
            <dt className="text-ink-3">{name}</dt>
            <dd className="text-right text-ink tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

/** The tiers in the order in which memories go through them. */
export function TierCards({ tiers, onRetry, retrying }: { tiers: Record<string, TierStatus>; onRetry: () => void; retrying: boolean }) {
  return (
    <div className="grid gap-2 lg:grid-cols-[1fr_auto_1fr_auto_1fr]">
      {kTiers.map(({ name, label, what }, index) => (
        <Fragment key={name}>
          {index > 0 && (
            <span aria-hidden className="grid place-items-center text-ink-3">
              <ChevronRight className="size-5 max-lg:hidden" />
              <ChevronDown className="size-5 lg:hidden" />
            </span>
          )}
          <TierCard label={label} what={what} tier={tiers[name]} onRetry={onRetry} retrying={retrying} />
        </Fragment>
      ))}
    </div>
  );
}
