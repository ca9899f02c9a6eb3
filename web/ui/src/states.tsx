import { CircleAlert, type LucideIcon } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';

import { Button } from './button';
import { cx } from './cx';

/** A grey shape where content will stand. Give it the content's size. */
export function Skeleton({ className, ...rest }: ComponentProps<'div'>) {
  return <div aria-hidden className={cx('skeleton', className)} {...rest} />;
}

/** Skeleton lines of a list or table, announced once as loading. */
export function SkeletonRows({ rows = 4, className }: { rows?: number; className?: string }) {
  return (
    <div role="status" aria-label="Loading" className={cx('space-y-3', className)}>
      {Array.from({ length: rows }, (_, i) => (
        <Skeleton key={i} className="h-8" />
      ))}
    </div>
  );
}

interface EmptyStateProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

export function EmptyState({ icon: Icon, title, children, action }: EmptyStateProps) {
  return (
    <div className="flex flex-col items-center px-4 py-10 text-center">
      <span className="mb-4 grid size-12 place-items-center rounded-full bg-sunken text-ink-3">
        <Icon aria-hidden className="size-5" />
      </span>
      <p className="font-medium text-ink">{title}</p>
      {children && <p className="mt-1 max-w-sm text-sm text-ink-3">{children}</p>}
      {action && <div className="mt-5">{action}</div>}
    </div>
  );
}

interface ErrorStateProps {
  title: string;
  /** What went wrong, in the server's words. */
  cause: string;
  /** What to do about it. */
  hint?: ReactNode;
  onRetry?: () => void;
  retrying?: boolean;
}

export function ErrorState({ title, cause, hint, onRetry, retrying = false }: ErrorStateProps) {
  return (
    <div role="alert" className="flex gap-3 rounded-lg border border-bad/40 bg-bad-soft p-4">
      <CircleAlert aria-hidden className="mt-0.5 size-5 shrink-0 text-bad-text" />
      <div className="min-w-0 flex-1 text-sm">
        <p className="font-semibold text-bad-text">{title}</p>
        <p className="mt-0.5 break-words text-ink">{cause}</p>
        {hint && <p className="mt-1 break-words text-ink-2">{hint}</p>}
        {onRetry && (
          <Button className="mt-3" onClick={onRetry} busy={retrying}>
            Retry
          </Button>
        )}
      </div>
    </div>
  );
}

const notices = {
  info: 'border-info/40 bg-info-soft',
  warn: 'border-warn/50 bg-warn-soft',
} as const;

export function Notice({ tone, children }: { tone: keyof typeof notices; children: ReactNode }) {
  return <div className={cx('rounded-lg border px-4 py-3 text-sm text-ink', notices[tone])}>{children}</div>;
}
