import { Check, Copy } from 'lucide-react';
import { Tabs } from 'radix-ui';
import { useEffect, useState } from 'react';

import { Button, type ButtonProps } from './button';
import { cx } from './cx';

async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages served over plain HTTP from another host have no clipboard API.
    const area = document.createElement('textarea');
    area.value = text;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    return copied;
  }
}

interface CopyButtonProps extends Omit<ButtonProps, 'onClick' | 'children'> {
  text: string;
  label?: string;
}

export function CopyButton({ text, label = 'Copy', ...rest }: CopyButtonProps) {
  const [state, setState] = useState<'idle' | 'copied' | 'failed'>('idle');
  useEffect(() => {
    if (state === 'idle') return;
    const timer = setTimeout(() => setState('idle'), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <Button
      {...rest}
      aria-live="polite"
      onClick={() => void writeClipboard(text).then((copied) => setState(copied ? 'copied' : 'failed'))}
    >
      {state === 'copied' ? <Check aria-hidden className="size-4" /> : <Copy aria-hidden className="size-4" />}
      {state === 'copied' ? 'Copied' : state === 'failed' ? 'Select and copy by hand' : label}
    </Button>
  );
}

export function CodeBlock({ code, label, className }: { code: string; label: string; className?: string }) {
  return (
    <pre
      tabIndex={0}
      aria-label={label}
      className={cx('overflow-x-auto rounded-lg bg-sunken p-4 font-mono text-[13px] leading-6 text-ink', className)}
    >
      <code>{code}</code>
    </pre>
  );
}

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
