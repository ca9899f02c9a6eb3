import { CodeBlock, EmptyState } from '@asahi/ui';
import type { LucideIcon } from 'lucide-react';
import type { ReactNode } from 'react';

import { apiBase } from '../../api/connection';

/** How a first memory is sent. */
export function FirstMemory({ icon, title, children }: { icon: LucideIcon; title: string; children: ReactNode }) {
  return (
    <>
      <EmptyState icon={icon} title={title}>
        {children}
      </EmptyState>
      <CodeBlock
        label="A first memory"
        className="mx-auto max-w-2xl"
        code={[
          `curl -X POST ${apiBase()}/memory/ingest/upload \\`,
          `  -d '{"system_id": "agent-7", "content": "The deploy failed at 14:05."}'`,
          '',
          '# or a whole file, one memory a line',
          'asahi memory import talks.jsonl',
        ].join('\n')}
      />
    </>
  );
}
