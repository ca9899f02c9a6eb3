import { ChevronRight } from 'lucide-react';
import { Accordion as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

import { cx } from './cx';

interface FoldsProps {
  /** Names of those that are open. */
  open: readonly string[];
  onChange: (open: string[]) => void;
  className?: string;
  children: ReactNode;
}

/** Parts of a long list, each under a heading that opens it. Arrows, Home and End go from heading to heading. */
export function Folds({ open, onChange, className, children }: FoldsProps) {
  return (
    <Radix.Root type="multiple" value={[...open]} onValueChange={onChange} className={cx('divide-y divide-line rounded-lg border border-line', className)}>
      {children}
    </Radix.Root>
  );
}

interface FoldProps {
  name: string;
  title: ReactNode;
  /** At the right end of the heading, part of what the heading says. */
  note?: ReactNode;
  /** Beside the heading: what acts on the part. */
  actions?: ReactNode;
  /** Of the part with its heading, to be jumped to. */
  id?: string;
  children: ReactNode;
}

export function Fold({ name, title, note, actions, id, children }: FoldProps) {
  return (
    <Radix.Item value={name} {...(id ? { id } : {})} className="group min-w-0 scroll-mt-20">
      <div className="flex items-center gap-1 pr-2 transition-colors duration-200 group-first:rounded-t-lg hover:bg-sunken">
        <Radix.Header className="min-w-0 flex-1">
          <Radix.Trigger className="flex w-full items-center gap-2 rounded-lg px-3 py-3 text-left text-sm focus-visible:-outline-offset-2 sm:px-4">
            <ChevronRight aria-hidden className="size-4 shrink-0 text-ink-3 transition-transform duration-200 group-data-[state=open]:rotate-90" />
            <span className="min-w-0 flex-1 font-medium break-words text-ink">{title}</span>
            {note && <span className="shrink-0 text-xs text-ink-3 tabular-nums">{note}</span>}
          </Radix.Trigger>
        </Radix.Header>
        {actions}
      </div>
      <Radix.Content className="border-t border-line px-3 sm:px-4">{children}</Radix.Content>
    </Radix.Item>
  );
}
