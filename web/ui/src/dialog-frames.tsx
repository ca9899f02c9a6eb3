/** What the dialogs of dialog.tsx are drawn with: a file of its own, fetched when the first one opens. */
import { X } from 'lucide-react';
import { Dialog as Radix } from 'radix-ui';

import { Button } from './button';
import type { DialogProps, DrawerProps, PopupProps } from './dialog';

export function DialogFrame({ open, onOpenChange, title, description, firm = false, binding = false, children }: DialogProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-[fade_200ms_ease-out] bg-overlay" />
        <Radix.Content
          onInteractOutside={(event) => (firm || binding) && event.preventDefault()}
          onEscapeKeyDown={(event) => binding && event.preventDefault()}
          className="fixed inset-x-4 top-[8vh] z-50 mx-auto max-h-[84vh] max-w-md animate-[appear_200ms_ease-out] overflow-auto rounded-xl border border-line bg-panel p-6 shadow-xl"
        >
          <Radix.Title className="pr-10 text-lg font-semibold text-ink">{title}</Radix.Title>
          <Radix.Description className="mt-1 text-sm text-ink-2">{description}</Radix.Description>
          {children}
          {!binding && (
            <Radix.Close asChild>
              <Button look="ghost" size="icon" aria-label="Close" className="absolute top-4 right-4">
                <X aria-hidden className="size-4" />
              </Button>
            </Radix.Close>
          )}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export function PopupFrame({ open, onOpenChange, title, children }: PopupProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-[fade_200ms_ease-out] bg-overlay" />
        <Radix.Content
          aria-describedby={undefined}
          className="fixed inset-x-4 top-[12vh] z-50 mx-auto max-w-xl animate-[appear_200ms_ease-out] overflow-hidden rounded-xl border border-line bg-panel shadow-xl"
        >
          <Radix.Title className="sr-only">{title}</Radix.Title>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export function DrawerFrame({ open, onOpenChange, title, children }: DrawerProps) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 animate-[fade_200ms_ease-out] bg-overlay" />
        <Radix.Content
          aria-describedby={undefined}
          className="fixed inset-y-0 left-0 z-50 flex w-64 max-w-[85vw] animate-[slide_200ms_ease-out] flex-col border-r border-line bg-panel"
        >
          <Radix.Title className="sr-only">{title}</Radix.Title>
          {children}
          <Radix.Close asChild>
            <Button look="ghost" size="icon" aria-label="Close menu" className="absolute top-3.5 right-3">
              <X aria-hidden className="size-4" />
            </Button>
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
