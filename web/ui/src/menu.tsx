import type { LucideIcon } from 'lucide-react';
import { useState, type ComponentProps, type KeyboardEvent, type ReactNode } from 'react';

import { Button } from './button';
import { later, useLater } from './later';

/** Fetched when somebody first goes for a menu. */
export const menuLists = later(() => import('./menu-lists'));

export interface ChoiceMenuProps<T extends string> {
  label: string;
  icon: LucideIcon;
  value: T;
  options: readonly { value: T; label: string; icon: LucideIcon }[];
  onChange: (value: T) => void;
}

export interface ActionMenuProps {
  /** Name of the button for screen readers. */
  label: string;
  icon: LucideIcon;
  /** Text of the button where there is room for it. */
  text: string;
  /** Stands above the actions. */
  heading: ReactNode;
  actions: readonly { label: string; icon: LucideIcon; onSelect: () => void }[];
}

type ButtonRest = ComponentProps<'button'>;
type Press = Pick<ButtonRest, 'aria-haspopup' | 'aria-expanded' | 'onPointerEnter' | 'onFocus' | 'onClick' | 'onKeyDown'>;

/** What a closed menu's button does until its list has been fetched for the first time: fetch it, and then open. */
function useFirstOpen(): { lists: ReturnType<typeof menuLists.here>; press: Press } {
  const [wanted, setWanted] = useState(false);
  const lists = useLater(menuLists, wanted, () => setWanted(false));
  const soon = () => void menuLists.load().catch(() => undefined);
  const press: Press = {
    'aria-haspopup': 'menu',
    'aria-expanded': false,
    onPointerEnter: soon,
    onFocus: soon,
    onClick: () => setWanted(true),
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key !== 'ArrowDown') return;
      event.preventDefault();
      setWanted(true);
    },
  };
  return { lists: wanted ? lists : undefined, press };
}

export function ChoiceButton<T extends string>({ label, icon: Icon, value, options, onChange, ...press }: ChoiceMenuProps<T> & Omit<ButtonRest, keyof ChoiceMenuProps<T>>) {
  return (
    <Button look="ghost" size="icon" aria-label={label} title={label} {...press}>
      <Icon aria-hidden className="size-4" />
    </Button>
  );
}

/** An icon button whose menu chooses one of a few. */
export function ChoiceMenu<T extends string>(props: ChoiceMenuProps<T>) {
  const { lists, press } = useFirstOpen();
  return lists ? <lists.ChoiceMenuOpen {...props} /> : <ChoiceButton {...props} {...press} />;
}

export function ActionButton({ label, icon: Icon, text, heading, actions, ...press }: ActionMenuProps & Omit<ButtonRest, keyof ActionMenuProps>) {
  return (
    <Button look="ghost" aria-label={label} className="max-sm:size-9 max-sm:p-0" {...press}>
      <Icon aria-hidden className="size-4" />
      <span className="max-w-56 truncate max-sm:sr-only">{text}</span>
    </Button>
  );
}

/** A button whose menu says something and offers a few actions. */
export function ActionMenu(props: ActionMenuProps) {
  const { lists, press } = useFirstOpen();
  return lists ? <lists.ActionMenuOpen {...props} /> : <ActionButton {...props} {...press} />;
}
