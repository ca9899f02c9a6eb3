import { LoaderCircle } from 'lucide-react';
import { Slot } from 'radix-ui';
import type { ComponentProps } from 'react';

import { cx } from './cx';

const looks = {
  primary: 'bg-accent text-on-accent hover:bg-accent-hover',
  secondary: 'bg-sunken text-ink hover:bg-line',
  outline: 'border border-line bg-panel text-ink hover:border-line-strong hover:bg-sunken',
  ghost: 'text-ink-2 hover:bg-sunken hover:text-ink',
  danger: 'bg-[#c62828] text-white hover:bg-[#a61f1f]',
} as const;

const sizes = {
  icon: 'size-9',
  sm: 'px-4 py-2 text-sm leading-5',
  md: 'px-6 py-3 text-sm leading-5',
  lg: 'px-8 py-4 text-base leading-6',
} as const;

export interface ButtonProps extends ComponentProps<'button'> {
  look?: keyof typeof looks;
  size?: keyof typeof sizes;
  /** Shows a spinner and refuses clicks. */
  busy?: boolean;
  /** Gives its looks to the one child (a link) instead of drawing a button. */
  asChild?: boolean;
}

export function Button({
  look = 'outline',
  size = 'sm',
  busy = false,
  asChild = false,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  const classes = cx(
    'inline-flex shrink-0 items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap transition-colors duration-200 disabled:cursor-not-allowed disabled:opacity-50',
    looks[look],
    sizes[size],
    className,
  );
  if (asChild) {
    return (
      <Slot.Root className={classes} {...rest}>
        {children}
      </Slot.Root>
    );
  }
  return (
    <button type="button" className={classes} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {busy && <LoaderCircle aria-hidden className="size-4 animate-spin" />}
      {children}
    </button>
  );
}
