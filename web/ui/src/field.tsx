import { ChevronDown } from 'lucide-react';
import { useId, type ComponentProps, type CSSProperties, type ReactNode } from 'react';

import { cx } from './cx';

interface FieldProps {
  label: string;
  hint?: ReactNode;
  /** Shown at the right end of the label's line. */
  aside?: ReactNode;
  hideLabel?: boolean;
  className?: string;
  /** Gets the id that the label points at, and that of the hint. */
  children: (ids: { id: string; 'aria-describedby'?: string }) => ReactNode;
}

export function Field({ label, hint, aside, hideLabel = false, className, children }: FieldProps) {
  const id = useId();
  const hintId = `${id}-hint`;
  return (
    <div className={cx('min-w-0', className)}>
      <div className={cx('mb-1.5 flex items-baseline justify-between gap-3', hideLabel && 'sr-only')}>
        <label htmlFor={id} className="text-sm font-medium text-ink">
          {label}
        </label>
        {aside && <span className="text-xs text-ink-3 tabular-nums">{aside}</span>}
      </div>
      {children(hint ? { id, 'aria-describedby': hintId } : { id })}
      {hint && (
        <p id={hintId} className="mt-1.5 text-xs text-ink-3">
          {hint}
        </p>
      )}
    </div>
  );
}

export function Input({ className, ...rest }: ComponentProps<'input'>) {
  return <input className={cx('field', className)} {...rest} />;
}

export function Textarea({ className, ...rest }: ComponentProps<'textarea'>) {
  return <textarea className={cx('field resize-y', className)} {...rest} />;
}

export function Select({ className, children, ...rest }: ComponentProps<'select'>) {
  return (
    <span className="relative block">
      <select className={cx('field appearance-none truncate pr-9', className)} {...rest}>
        {children}
      </select>
      <ChevronDown
        aria-hidden
        className="pointer-events-none absolute top-1/2 right-3 size-4 -translate-y-1/2 text-ink-3"
      />
    </span>
  );
}

/** A track filled up to the thumb; the browser's own is dark on light pages when the accent is a pale one. */
export function Slider({ className, style, ...rest }: Omit<ComponentProps<'input'>, 'type'>) {
  const [least, most, value] = [Number(rest.min ?? 0), Number(rest.max ?? 100), Number(rest.value ?? 0)];
  const filled = most > least ? ((value - least) / (most - least)) * 100 : 0;
  return (
    <input
      type="range"
      className={cx('slider', className)}
      style={{ ...style, '--filled': `${Math.min(100, Math.max(0, filled))}%` } as CSSProperties}
      {...rest}
    />
  );
}

interface ChoicesProps<T extends string> {
  legend: string;
  value: T;
  options: readonly { value: T; label: string }[];
  onChange: (value: T) => void;
  /** Explains the chosen option. */
  hint?: ReactNode;
}

/** Radio buttons drawn as one segmented bar. */
export function Choices<T extends string>({ legend, value, options, onChange, hint }: ChoicesProps<T>) {
  const name = useId();
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1.5 text-sm font-medium text-ink">{legend}</legend>
      <div className="grid auto-cols-fr grid-flow-col gap-1 rounded-lg bg-sunken p-1">
        {options.map((option) => (
          <label
            key={option.value}
            className="relative cursor-pointer rounded-md px-2 py-1.5 text-center text-sm font-medium text-ink-2 transition-colors duration-200 hover:text-ink has-checked:bg-panel has-checked:text-ink has-checked:shadow-sm has-checked:ring-1 has-checked:ring-line has-focus-visible:outline-2 has-focus-visible:outline-accent"
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
      {hint && <p className="mt-1.5 text-xs text-ink-3">{hint}</p>}
    </fieldset>
  );
}

interface CheckListProps<T extends string> {
  legend: string;
  values: readonly T[];
  options: readonly { value: T; label: string; hint: string; disabled?: boolean }[];
  onChange: (values: T[]) => void;
  /** Said under the options. */
  hint?: ReactNode;
}

/** Boxes of which any number may be ticked. */
export function CheckList<T extends string>({ legend, values, options, onChange, hint }: CheckListProps<T>) {
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1.5 text-sm font-medium text-ink">{legend}</legend>
      <div className="space-y-2">
        {options.map(({ value, label, hint: meaning, disabled }) => (
          <label key={value} className={cx('flex items-start gap-2.5 text-sm', disabled ? 'opacity-50' : 'cursor-pointer')}>
            <input
              type="checkbox"
              className="mt-0.5 size-4 shrink-0 accent-accent"
              checked={values.includes(value)}
              disabled={disabled}
              onChange={(event) => onChange(event.target.checked ? [...values, value] : values.filter((other) => other !== value))}
            />
            <span className="min-w-0">
              <span className="text-ink">{label}</span> <span className="text-ink-3">{meaning}</span>
            </span>
          </label>
        ))}
      </div>
      {hint && <p className="mt-1.5 text-xs text-ink-3">{hint}</p>}
    </fieldset>
  );
}
