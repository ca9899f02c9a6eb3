import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';

import { Card } from './card';
import { cx } from './cx';
import { Skeleton } from './states';

interface StatProps {
  label: string;
  /** Undefined while loading. */
  value: ReactNode | undefined;
  note?: ReactNode;
  icon?: LucideIcon;
  /** Marks the one figure of the page that matters most. */
  highlight?: boolean;
}

/** Hyphens of names would stand as wide as digits. */
const isName = (value: ReactNode): boolean => typeof value === 'string' && /^[a-z].*-/i.test(value);

export function Stat({ label, value, note, icon: Icon, highlight = false }: StatProps) {
  return (
    <Card className={cx('min-w-0 p-3.5 sm:p-5', highlight && 'border-accent/60 bg-accent-soft')}>
      <div className="flex items-center justify-between gap-2">
        <p className="truncate text-sm font-medium text-ink-2">{label}</p>
        {Icon && <Icon aria-hidden className={cx('size-4 shrink-0', highlight ? 'text-accent-text' : 'text-ink-3')} />}
      </div>
      {value === undefined ? (
        <div role="status" aria-label={`Loading ${label}`}>
          <Skeleton className="mt-1.5 h-8 w-24 max-w-full sm:h-9" />
          <Skeleton className="mt-1.5 h-4 w-32 max-w-full" />
        </div>
      ) : (
        <>
          <p className={cx('mt-1.5 truncate text-xl leading-8 sm:text-[28px] sm:leading-9 font-semibold tracking-tight text-ink', !isName(value) && 'tabular-nums')}>
            {value}
          </p>
          {note && <p className={cx('mt-1.5 text-xs leading-4', highlight ? 'text-ink-2' : 'text-ink-3')}>{note}</p>}
        </>
      )}
    </Card>
  );
}
