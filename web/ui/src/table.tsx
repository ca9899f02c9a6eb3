import { ArrowDown, ArrowUp, ArrowUpDown } from 'lucide-react';
import type { ComponentProps, ReactNode } from 'react';

import { cx } from './cx';

/** Scrolls sideways inside its frame when the page is narrow. */
export function Table({ label, children, className }: { label: string; children: ReactNode; className?: string }) {
  return (
    <div
      role="region"
      aria-label={label}
      tabIndex={0}
      className={cx('table-frame', className)}
    >
      <table className="w-full text-left text-sm">{children}</table>
    </div>
  );
}

interface ThProps extends ComponentProps<'th'> {
  numeric?: boolean;
}

export function Th({ numeric = false, className, ...rest }: ThProps) {
  return (
    <th
      scope="col"
      className={cx('cell cell-head', numeric && 'text-right', className)}
      {...rest}
    />
  );
}

export interface Sort<K extends string> {
  key: K;
  down: boolean;
}

interface SortThProps<K extends string> {
  by: K;
  sort: Sort<K>;
  onSort: (sort: Sort<K>) => void;
  numeric?: boolean;
  children: ReactNode;
}

/** A column heading that sorts; a second press turns the order round. */
export function SortTh<K extends string>({ by, sort, onSort, numeric = false, children }: SortThProps<K>) {
  const active = sort.key === by;
  const Icon = !active ? ArrowUpDown : sort.down ? ArrowDown : ArrowUp;
  return (
    <Th numeric={numeric} aria-sort={!active ? undefined : sort.down ? 'descending' : 'ascending'}>
      <button
        type="button"
        onClick={() => onSort({ key: by, down: active ? !sort.down : false })}
        className={cx(
          'flex w-fit items-center gap-1 rounded transition-colors duration-200 hover:text-ink',
          numeric && 'ml-auto flex-row-reverse',
          active && 'text-ink',
        )}
      >
        {children}
        <Icon aria-hidden className={cx('size-3.5', !active && 'opacity-40')} />
      </button>
    </Th>
  );
}

interface TdProps extends ComponentProps<'td'> {
  numeric?: boolean;
}

export function Td({ numeric = false, className, ...rest }: TdProps) {
  return (
    <td
      className={cx('cell cell-body', numeric && 'text-right whitespace-nowrap tabular-nums', className)}
      {...rest}
    />
  );
}
