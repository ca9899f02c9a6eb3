/** What the menus of menu.tsx open: a file of its own, fetched when the first one is. Each begins open. */
import { Check } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';

import { ActionButton, ChoiceButton, type ActionMenuProps, type ChoiceMenuProps } from './menu';

export function ChoiceMenuOpen<T extends string>(props: ChoiceMenuProps<T>) {
  const { value, options, onChange } = props;
  return (
    <DropdownMenu.Root modal={false} defaultOpen>
      <DropdownMenu.Trigger asChild>
        <ChoiceButton {...props} />
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

export function ActionMenuOpen(props: ActionMenuProps) {
  const { heading, actions } = props;
  return (
    <DropdownMenu.Root modal={false} defaultOpen>
      <DropdownMenu.Trigger asChild>
        <ActionButton {...props} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-[calc(100vw-16px)] min-w-56 animate-[fade_200ms_ease-out] rounded-lg border border-line bg-panel p-1 shadow-lg"
        >
          <DropdownMenu.Label className="px-2.5 py-2 text-sm text-ink">{heading}</DropdownMenu.Label>
          <DropdownMenu.Separator className="my-1 h-px bg-line" />
          {actions.map((action) => (
            <DropdownMenu.Item
              key={action.label}
              onSelect={action.onSelect}
              className="flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-2 text-sm text-ink-2 outline-none select-none data-highlighted:bg-sunken data-highlighted:text-ink"
            >
              <action.icon aria-hidden className="size-4" />
              {action.label}
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
