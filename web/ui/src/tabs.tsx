import { Tabs as Radix } from 'radix-ui';
import type { ReactNode } from 'react';

interface TabsProps {
  label: string;
  value: string;
  tabs: readonly { id: string; label: string; content: () => ReactNode }[];
  onChange: (id: string) => void;
}

/** Parts of a page of which one is shown. */
export function Tabs({ label, value, tabs, onChange }: TabsProps) {
  return (
    <Radix.Root value={value} onValueChange={onChange}>
      <Radix.List aria-label={label} className="mb-4 flex gap-1 overflow-x-auto overflow-y-hidden border-b border-line">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.id}
            value={tab.id}
            className="border-b-2 border-transparent px-4 py-2.5 text-sm font-medium whitespace-nowrap text-ink-2 transition-colors duration-200 hover:text-ink focus-visible:-outline-offset-2 data-[state=active]:border-accent data-[state=active]:text-ink max-[400px]:px-3"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.id} value={tab.id} className="rounded-lg">
          {tab.content()}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
