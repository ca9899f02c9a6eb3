import { cx } from '@asahi/ui';

import { dollars, percent } from '../lib/format';
import { fallingBars, type Step } from './waterfall';

/** From the price without us to what was paid: what each technique took away. */
export function SavingsWaterfall({ steps, whole }: { steps: readonly Step[]; whole: number }) {
  return (
    <ol aria-label="From the baseline to what was paid" className="space-y-3">
      {fallingBars(steps).map(({ name, amount, kind, left, width }) => {
        const dearer = kind === 'saving' && amount < 0;
        return (
          <li key={name} className="grid items-center gap-x-4 gap-y-1.5 text-sm sm:grid-cols-[9.5rem_minmax(0,1fr)_9rem]">
            <span className="flex items-baseline justify-between gap-3 sm:contents">
              <span className={cx('min-w-0 truncate text-ink', kind === 'total' && 'font-semibold')}>{name}</span>
              <span className="text-right tabular-nums sm:order-3">
                <span className={kind === 'total' ? 'font-semibold text-ink' : dearer ? 'text-bad-text' : amount > 0 ? 'text-ok-text' : 'text-ink'}>
                  {kind === 'saving' && amount !== 0 ? (dearer ? '+' : '−') : ''}
                  {dollars(Math.abs(amount))}
                </span>
                <span className="ml-2 inline-block w-12 text-xs text-ink-3">{whole > 0 ? percent(Math.abs(amount) / whole) : '–'}</span>
              </span>
            </span>
            <span aria-hidden className="relative block h-5 overflow-hidden rounded bg-sunken sm:order-2 sm:h-6">
              {amount !== 0 && (
                <span
                  className={cx(
                    'absolute inset-y-0 rounded transition-[left,width] duration-200',
                    kind === 'total' ? 'bg-accent' : dearer ? 'bg-bad' : 'bg-ok',
                  )}
                  style={{ left: `${Math.min(left, 99.5)}%`, width: `max(${width}%, 2px)` }}
                />
              )}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
