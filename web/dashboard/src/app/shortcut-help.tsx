import { Dialog } from '@asahi/ui';

import type { Page } from './pages';
import { Kbd } from './shortcuts';

export function ShortcutHelp({ open, onOpenChange, pages }: { open: boolean; onOpenChange: (open: boolean) => void; pages: readonly Page[] }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard shortcuts" description="They work wherever no text is being typed.">
      <dl className="mt-5 grid gap-x-8 gap-y-2.5 text-sm sm:grid-cols-2">
        <Shortcut label="Find a page or command" keys={['Ctrl', 'K']} />
        <Shortcut label="This help" keys={['?']} />
        {pages.map(({ label, key }) => (
          <Shortcut key={key} label={label} keys={['g', key]} />
        ))}
      </dl>
    </Dialog>
  );
}

function Shortcut({ label, keys }: { label: string; keys: readonly string[] }) {
  return (
    <div className="flex items-center justify-between gap-3">
      <dt className="text-ink-2">{label}</dt>
      <dd className="flex gap-1">
        {keys.map((key) => (
          <Kbd key={key}>{key}</Kbd>
        ))}
      </dd>
    </div>
  );
}
