import { cx } from '@asahi/ui';
import { Check, X } from 'lucide-react';

const kTiers = ['Miss', 'Exact', 'Semantic', 'Workflow'];

export const tierName = (tier: number): string => kTiers[tier] ?? `Tier ${tier}`;

/** Whether the cache answered, and which tier. */
export function CacheMark({ tier }: { tier: number }) {
  const Icon = tier > 0 ? Check : X;
  return (
    <span className={cx('inline-flex items-center gap-1.5 whitespace-nowrap', tier > 0 ? 'text-ok-text' : 'text-ink-3')}>
      <Icon aria-hidden className="size-3.5" />
      {tier > 0 ? `T${tier} ${kTiers[tier]?.toLowerCase() ?? ''}` : 'miss'}
    </span>
  );
}
