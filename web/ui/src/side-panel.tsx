import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

import { Button } from './button';

interface SidePanelProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: ReactNode;
  description: ReactNode;
  children: ReactNode;
}

/** The details of one thing, over the right part of the page; on phones over all of it. Esc closes it. */
export function SidePanel({ open, onOpenChange, title, description, children }: SidePanelProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-[fade_200ms_ease-out] bg-overlay" />
        <Radix.Content
          onOpenAutoFocus={(event) => {
            // The panel itself, so that it is read from its title on.
            event.preventDefault();
            (event.currentTarget as HTMLElement).focus();
          }}
          className="fixed inset-y-0 right-0 z-50 flex w-full max-w-2xl animate-[slide-right_200ms_ease-out] flex-col border-l border-line bg-panel shadow-xl outline-none"
        >
          <header className="flex items-start gap-3 border-b border-line px-4 py-4 sm:px-6">
            <div className="min-w-0 flex-1">
              <Radix.Title className="text-lg leading-7 font-semibold break-words text-ink">{title}</Radix.Title>
              <Radix.Description className="text-sm text-ink-2">{description}</Radix.Description>
            </div>
            <Radix.Close asChild>
              <Button look="ghost" size="icon" aria-label="Close">
                <X aria-hidden className="size-4" />
              </Button>
            </Radix.Close>
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto px-4 py-5 sm:px-6">{children}</div>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
