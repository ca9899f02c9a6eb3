import type { LucideIcon } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import type { ReactNode } from 'react';

import { Button } from './button';

interface ActionMenuProps {
  /** Name of the button for screen readers. */
  label: string;
  icon: LucideIcon;
  /** Text of the button where there is room for it. */
  text: string;
  /** Stands above the actions. */
  heading: ReactNode;
  actions: readonly { label: string; icon: LucideIcon; onSelect: () => void }[];
}

/** A button whose menu says something and offers a few actions. */
export function ActionMenu({ label, icon: Icon, text, heading, actions }: ActionMenuProps) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <Button look="ghost" aria-label={label} className="max-sm:size-9 max-sm:p-0">
          <Icon aria-hidden className="size-4" />
          <span className="max-w-56 truncate max-sm:sr-only">{text}</span>
        </Button>
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
