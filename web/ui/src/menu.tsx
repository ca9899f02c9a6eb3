import { Check, type LucideIcon } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';

import { Button } from './button';

interface ChoiceMenuProps<T extends string> {
  label: string;
  icon: LucideIcon;
  value: T;
  options: readonly { value: T; label: string; icon: LucideIcon }[];
  onChange: (value: T) => void;
}

/** An icon button whose menu chooses one of a few. */
export function ChoiceMenu<T extends string>({ label, icon: Icon, value, options, onChange }: ChoiceMenuProps<T>) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <Button look="ghost" size="icon" aria-label={label} title={label}>
          <Icon aria-hidden className="size-4" />
        </Button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={6}
          className="z-50 min-w-36 animate-[fade_200ms_ease-out] rounded-lg border border-line bg-panel p-1 shadow-lg"
        >
          <DropdownMenu.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
            {options.map((option) => (
              <DropdownMenu.RadioItem
                key={option.value}
                value={option.value}
                className="flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-2 text-sm text-ink-2 outline-none select-none data-highlighted:bg-sunken data-highlighted:text-ink data-[state=checked]:text-ink"
              >
                <option.icon aria-hidden className="size-4" />
                <span className="flex-1">{option.label}</span>
                <DropdownMenu.ItemIndicator>
                  <Check aria-hidden className="size-4 text-accent-text" />
                </DropdownMenu.ItemIndicator>
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
