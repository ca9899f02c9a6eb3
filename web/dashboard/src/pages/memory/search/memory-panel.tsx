import { CodeBlock, CopyButton, SidePanel, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';

import { ApiError } from '../../../api/errors';
import { memoryQuery, type StoredMemory } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { dateTime } from '../../../lib/format';
import { TierBadge } from '../tier-badge';

export interface MemoryId {
  system_id: string;
  conversation_id: string;
}

function Facts({ memory }: { memory: StoredMemory }) {
  const near = memory.near_duplicate_of;
  const facts: [string, string][] = [
    ['Said', dateTime(memory.timestamp)],
    ['Taken in', dateTime(memory.uploaded_at)],
    ['Vector of', memory.embedding_model || 'none'],
    ['Content hash', memory.content_hash],
    ...(near ? [['Almost the same as', `${near.system_id}, ${near.conversation_id}`] as [string, string]] : []),
  ];
  return (
    <dl className="mt-5 space-y-1.5 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="grid grid-cols-[8rem_minmax(0,1fr)] gap-3">
          <dt className="text-ink-3">{name}</dt>
          <dd className="break-all text-ink">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Whole({ id }: { id: MemoryId }) {
  const memory = useQuery(memoryQuery(id));
  const { data } = memory;
  if (data) {
    return (
      <>
        <div className="mb-3 flex items-center gap-3">
          <TierBadge tier={data.tier} />
          <CopyButton look="ghost" className="px-2 py-1 text-xs" text={data.content ?? data.summary ?? ''} label="Copy text" />
        </div>
        {data.content === undefined && <p className="mb-2 text-sm text-ink-3">Of this age only a summary is kept at hand:</p>}
        <p className="text-sm break-words whitespace-pre-wrap text-ink">{data.content ?? data.summary}</p>
        <Facts memory={data} />
        <h3 className="mt-5 mb-2 text-sm font-semibold text-ink">Metadata</h3>
        <CodeBlock label="Metadata" code={JSON.stringify(data.metadata, null, 2)} className="break-all whitespace-pre-wrap" />
      </>
    );
  }
  if (!memory.isError) return <SkeletonRows rows={6} />;
  if (memory.error instanceof ApiError && memory.error.status === 404) return <p className="text-sm text-ink-2">This memory is not there (any more): it was forgotten, or its address is wrong.</p>;
  return <Failure title="The memory could not be loaded" error={memory.error} onRetry={() => void memory.refetch()} retrying={memory.isFetching} />;
}

/** One memory with all that is kept about it. */
export function MemoryPanel({ id, onClose }: { id: MemoryId | undefined; onClose: () => void }) {
  return (
    <SidePanel open={id !== undefined} onOpenChange={(open) => !open && onClose()} title={id?.conversation_id ?? ''} description={id ? `A memory of ${id.system_id}.` : ''}>
      {id && <Whole id={id} />}
    </SidePanel>
  );
}
