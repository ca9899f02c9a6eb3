import type { ReactNode } from 'react';

import { later, useLater } from './later';

/** Fetched when the first dialog opens. */
export const dialogFrames = later(() => import('./dialog-frames'));

export interface PopupProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
}

export type DrawerProps = PopupProps;

export interface DialogProps extends PopupProps {
  description: ReactNode;
  /** A press beside the dialog leaves it open. */
  firm?: boolean;
  /** Only its own buttons close it: it has no cross, and Esc or a press beside it leaves it open. */
  binding?: boolean;
}

const useFrames = ({ open, onOpenChange }: PopupProps) => useLater(dialogFrames, open, () => onOpenChange(false));

/** Asks or tells something over the page. */
export function Dialog(props: DialogProps) {
  const frames = useFrames(props);
  return frames && <frames.DialogFrame {...props} />;
}

/** A bare frame over the page, near its top; the title is for screen readers. */
export function Popup(props: PopupProps) {
  const frames = useFrames(props);
  return frames && <frames.PopupFrame {...props} />;
}

/** A panel from the left edge, over the page. */
export function Drawer(props: DrawerProps) {
  const frames = useFrames(props);
  return frames && <frames.DrawerFrame {...props} />;
}
