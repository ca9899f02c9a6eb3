import type { ComponentProps, ReactNode } from 'react';

import { cx } from './cx';

export function Card({ className, ...rest }: ComponentProps<'div'>) {
  return <div className={cx('card', className)} {...rest} />;
}

interface SectionCardProps {
  title: string;
  /** One quiet line under the title. */
  note?: ReactNode;
  actions?: ReactNode;
  className?: string;
  children: ReactNode;
}

/** A card with a heading, the usual frame of a widget. */
export function SectionCard({ title, note, actions, className, children }: SectionCardProps) {
  return (
    <section className={cx('card min-w-0', className)} aria-label={title}>
      <div className="mb-4 flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1 basis-48">
          <h2 className="text-base font-semibold text-ink">{title}</h2>
          {note && <p className="mt-0.5 text-sm text-ink-3">{note}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
      </div>
      {children}
    </section>
  );
}
