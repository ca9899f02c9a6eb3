import { cx } from '@asahi/ui';
import { ArrowDownRight, ArrowRight, ArrowUpRight } from 'lucide-react';

interface DeltaProps {
  /** Change in percent; null or absent: there is nothing to compare with. */
  percent: number | null | undefined;
  /** Whether more is better; absent: neither. */
  better?: 'up' | 'down';
}

/** Ten times as much says enough. */
const kMostShown = 900;

/** How a figure changed against the same length of time before. */
export function Delta({ percent, better }: DeltaProps) {
  if (percent === null || percent === undefined || !Number.isFinite(percent)) return <span>nothing before to compare with</span>;
  const flat = Math.abs(percent) < 0.05;
  const up = percent > 0;
  const good = better === undefined || flat ? undefined : (better === 'up') === up;
  const Icon = flat ? ArrowRight : up ? ArrowUpRight : ArrowDownRight;
  const size = Math.abs(percent);
  const text = size > kMostShown ? 'over 10×' : `${size.toFixed(size < 10 ? 1 : 0)}%`;
  return (
    <span className="whitespace-nowrap">
      <span className={cx('font-medium', good === undefined ? 'text-ink-2' : good ? 'text-ok-text' : 'text-bad-text')}>
        <Icon aria-hidden className="mr-0.5 inline size-3.5 align-[-2px]" />
        <span className="sr-only">{flat ? 'unchanged' : up ? 'up' : 'down'} </span>
        {text}
      </span>{' '}
      vs. before
    </span>
  );
}
