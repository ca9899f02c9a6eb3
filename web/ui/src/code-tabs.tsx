import { Tabs } from 'radix-ui';
import { useState } from 'react';

import { CodeBlock, CopyButton } from './code';

interface CodeTabsProps {
  label: string;
  snippets: readonly { id: string; title: string; code: string; before?: string }[];
}

/** The same thing said in several languages, one shown at a time. */
export function CodeTabs({ label, snippets }: CodeTabsProps) {
  const [shown, setShown] = useState(snippets[0]?.id ?? '');
  const current = snippets.find((snippet) => snippet.id === shown);
  return (
    <Tabs.Root value={shown} onValueChange={setShown}>
      <div className="mb-3 flex items-center justify-between gap-3">
        <Tabs.List aria-label={label} className="flex min-w-0 gap-1 overflow-x-auto">
          {snippets.map((snippet) => (
            <Tabs.Trigger
              key={snippet.id}
              value={snippet.id}
              className="rounded-md px-3 py-1.5 text-sm font-medium whitespace-nowrap text-ink-2 transition-colors duration-200 hover:text-ink focus-visible:-outline-offset-2 data-[state=active]:bg-accent-soft data-[state=active]:text-accent-text"
            >
              {snippet.title}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <CopyButton text={current?.code ?? ''} />
      </div>
      {snippets.map((snippet) => (
        <Tabs.Content key={snippet.id} value={snippet.id} className="rounded-lg">
          {snippet.before && (
            <p className="mb-3 text-sm text-ink-2">
              Install: <code className="rounded bg-sunken px-1.5 py-0.5 font-mono text-[13px]">{snippet.before}</code>
            </p>
          )}
          <CodeBlock code={snippet.code} label={`${snippet.title} example`} />
        </Tabs.Content>
      ))}
    </Tabs.Root>
  );
}
