import { Badge, Button, SectionCard, Table, Td, Th } from '@asahi/ui';

import type { Question } from '../../api/ask';
import { clockTime, dollars, milliseconds } from '../../lib/format';
import { tierName } from './answer';
import { forgetRuns, usePastRuns, type Run } from './use-run';

function Outcome({ run }: { run: Run }) {
  if (run.state === 'failed') return <Badge tone="bad">Failed</Badge>;
  if (run.state === 'cancelled') return <Badge>Cancelled</Badge>;
  if (!run.facts) return <Badge>–</Badge>;
  return <Badge tone={run.facts.cacheHit ? 'ok' : 'neutral'}>{tierName(run.facts.cacheTier)}</Badge>;
}

/** The runs since the page was opened. */
export function RunTable({ onReuse }: { onReuse: (question: Question) => void }) {
  const runs = usePastRuns();
  if (runs.length === 0) return null;
  return (
    <SectionCard
      className="mt-4"
      title="Recent runs"
      note="Kept until this page is closed or reloaded."
      actions={
        <Button look="ghost" onClick={forgetRuns}>
          Forget
        </Button>
      }
    >
      <Table label="Recent runs">
        <thead>
          <tr>
            <Th>Time</Th>
            <Th>Prompt</Th>
            <Th>Model</Th>
            <Th>Cache</Th>
            <Th numeric>Latency</Th>
            <Th numeric>Cost</Th>
            <Th>
              <span className="sr-only">Actions</span>
            </Th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const latency = run.facts?.latencyMs ?? run.totalMs;
            return (
              <tr key={run.startedAt} className="hover:bg-sunken/60">
                <Td className="text-ink-3 tabular-nums">{clockTime(run.startedAt)}</Td>
                <Td className="max-w-64 truncate" title={run.question.prompt.slice(0, 500)}>
                  {run.question.prompt}
                </Td>
                <Td className="whitespace-nowrap text-ink-2">{run.facts?.model ?? '–'}</Td>
                <Td>
                  <Outcome run={run} />
                </Td>
                <Td numeric>{latency === undefined ? '–' : milliseconds(latency)}</Td>
                <Td numeric>{run.facts ? dollars(run.facts.cost) : '–'}</Td>
                <Td className="py-1.5 text-right">
                  <Button look="ghost" className="px-2.5 py-1" onClick={() => onReuse(run.question)}>
                    Reuse
                  </Button>
                </Td>
              </tr>
            );
          })}
        </tbody>
      </Table>
    </SectionCard>
  );
}
