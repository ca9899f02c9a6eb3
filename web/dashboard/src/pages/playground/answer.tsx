import { Badge, Button, CopyButton, EmptyState, Notice, SectionCard, Skeleton } from '@asahi/ui';
import { MessageSquareText } from 'lucide-react';

import { requestOf } from '../../api/ask';
import { apiBase, connection } from '../../api/connection';
import { ApiError } from '../../api/errors';
import { Failure } from '../../app/failure';
import { curlOf } from '../../lib/curl';
import { FactList } from './fact-list';
import type { Run } from './use-run';

const kStates: Record<Run['state'], string> = {
  waiting: 'Waiting for the first word',
  streaming: 'The answer is arriving',
  done: 'The answer is complete',
  failed: 'The request failed',
  cancelled: 'Cancelled',
};

export const tierName = (tier: number): string =>
  tier === 0 ? 'Miss' : tier === 1 ? 'Exact hit' : tier === 2 ? 'Semantic hit' : 'Workflow hit';

export function Text({ run }: { run: Run }) {
  if (run.state === 'waiting') {
    return (
      <div className="space-y-2.5 py-1" aria-hidden>
        <Skeleton className="h-4 w-11/12" />
        <Skeleton className="h-4 w-4/5" />
        <Skeleton className="h-4 w-3/5" />
      </div>
    );
  }
  if (!run.text) return run.state === 'done' ? <p className="text-sm text-ink-3">The answer has no text.</p> : null;
  return (
    <div data-testid="answer" className="max-h-[28rem] overflow-y-auto text-[15px] leading-7 break-words whitespace-pre-wrap text-ink" tabIndex={0}>
      {run.text}
      {run.state === 'streaming' && (
        <span aria-hidden className="ml-0.5 inline-block h-4 w-2 translate-y-0.5 animate-[caret_1s_step-end_infinite] rounded-sm bg-accent" />
      )}
    </div>
  );
}

export function Trouble({ run, onRetry }: { run: Run; onRetry: () => void }) {
  if (run.state === 'cancelled') return <Notice tone="info">Cancelled. What had come is shown above; the gateway stops its work too.</Notice>;
  if (run.state !== 'failed') return null;
  const midStream = run.error instanceof ApiError && run.error.midStream;
  return (
    <Failure
      title={midStream ? 'The answer broke off' : 'The request failed'}
      error={run.error}
      onRetry={onRetry}
    />
  );
}

interface AnswerProps {
  run: Run | undefined;
  /** Makes room for the next prompt. */
  onNew: () => void;
  onRetry: () => void;
}

export function Answer({ run, onNew, onRetry }: AnswerProps) {
  if (!run) {
    return (
      <SectionCard title="Answer">
        <EmptyState icon={MessageSquareText} title="No answer yet">
          Write a prompt and send it. Send it again to see the cache answer.
        </EmptyState>
      </SectionCard>
    );
  }
  const running = run.state === 'waiting' || run.state === 'streaming';
  const { path, body } = requestOf({ ...run.question, vendorKey: run.question.vendorKey ? 'YOUR_VENDOR_KEY' : undefined });
  return (
    <SectionCard
      title="Answer"
      actions={
        run.facts && (
          <>
            <Badge tone={run.facts.cacheHit ? 'ok' : 'neutral'} dot>
              {tierName(run.facts.cacheTier)}
            </Badge>
            {run.facts.fallbackUsed && <Badge tone="warn">Fallback</Badge>}
          </>
        )
      }
    >
      <p role="status" className="sr-only">
        {kStates[run.state]}
      </p>
      <div className="space-y-4">
        <Text run={run} />
        <Trouble run={run} onRetry={onRetry} />
        {run.facts && <FactList facts={run.facts} run={run} />}
        {!running && (
          <div className="flex flex-wrap gap-2 border-t border-line pt-4">
            {run.text && <CopyButton text={run.text} label="Copy answer" />}
            <CopyButton text={curlOf(apiBase(), path, body, Boolean(connection().key))} label="Copy as curl" />
            <Button look="ghost" onClick={onNew}>
              New request
            </Button>
          </div>
        )}
      </div>
    </SectionCard>
  );
}
