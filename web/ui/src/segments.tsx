import { useId } from 'react';

import { cx } from './cx';

interface SegmentsProps<T extends string> {
  /** Names the choice for screen readers. */
  label: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
  className?: string;
}

/** A few short options in one line, without a legend: for the head of a page or a card. */
export function Segments<T extends string>({ label, value, options, onChange, className }: SegmentsProps<T>) {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={label} className={cx('inline-flex max-w-full gap-1 overflow-x-auto rounded-lg border border-line bg-sunken p-1', className)}>
      {options.map((option) => (
        <label
          key={option.value}
          className="relative cursor-pointer rounded-md px-2.5 py-1 text-center text-sm font-medium whitespace-nowrap text-ink-2 transition-colors duration-200 hover:text-ink has-checked:bg-panel has-checked:text-ink has-checked:shadow-sm has-checked:ring-1 has-checked:ring-line has-focus-visible:outline-2 has-focus-visible:outline-accent"
        >
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
            className="absolute inset-0 cursor-pointer opacity-0"
          />
          {option.label}
        </label>
      ))}
    </div>
  );
}
