import { Badge, type Tone } from '@asahi/ui';

import type { Fact } from '../../../api/memory-graph';
import { dateOnly, dateTime } from '../../../lib/format';
import { nameOf, relation } from '../../../lib/graph-search';
import type { MemoryId } from '../search/memory-panel';

/** Why a fact is not believed as it was, and its colour. */
const kEnds: Record<string, { text: string; tone: Tone }> = {
  superseded: { text: 'superseded', tone: 'warn' },
  contradicted: { text: 'contradicted', tone: 'bad' },
  retracted: { text: 'taken back', tone: 'bad' },
  replaced: { text: 'not said any more', tone: 'neutral' },
  edited: { text: 'edited', tone: 'info' },
};

function State({ fact }: { fact: Fact }) {
  const end = fact.ended ? kEnds[fact.ended] : undefined;
  if (fact.holds)
    return (
      <Badge tone="ok" dot>
        holds
      </Badge>
    );
  if (end)
    return (
      <Badge tone={end.tone} dot>
        {end.text}
        {fact.ended_by ? ` by fact ${fact.ended_by}` : ''}
      </Badge>
    );
  return <Badge dot>{fact.valid_to ? 'over' : 'not yet'}</Badge>;
}

const between = (from: string | null | undefined, to: string | null | undefined, write: (iso: string) => string): string => {
  if (!from && !to) return 'always';
  return `${from ? `from ${write(from)}` : 'always'}${to ? ` to ${write(to)}` : from ? ' on' : ''}`;
};

interface FactsProps {
  facts: readonly Fact[];
  centre: string;
  onOpen: (id: string) => void;
  onMemory: (id: MemoryId) => void;
}

/** Facts with both their times: when each holds in the world, and since when it is known here. */
export function Facts({ facts, centre, onOpen, onMemory }: FactsProps) {
  const end = (id: string, name: string | null | undefined) =>
    id === centre ? (
      <span className="font-medium text-ink">{nameOf(id, name)}</span>
    ) : (
      <button type="button" title={id} onClick={() => onOpen(id)} className="rounded font-medium text-ink underline decoration-line-strong underline-offset-4 hover:decoration-ink">
        {nameOf(id, name)}
      </button>
    );
  return (
    <ul aria-label="Facts" className="divide-y divide-line">
      {facts.map((fact) => (
        <li key={fact.fact_id} className="py-3 text-sm first:pt-0 last:pb-0">
          <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
            <p className={fact.holds ? 'min-w-0 break-words text-ink-2' : 'min-w-0 break-words text-ink-2 line-through decoration-ink-3'}>
              {end(fact.from, fact.from_name)} {relation(fact.type)} {end(fact.to, fact.to_name)}
            </p>
            <State fact={fact} />
            <span className="ml-auto text-xs text-ink-3 tabular-nums">fact {fact.fact_id}</span>
          </div>
          {fact.evidence && <blockquote className="mt-1 border-l-2 border-line-strong pl-2.5 break-words text-ink-2">{fact.evidence}</blockquote>}
          <p className="mt-1 text-xs text-ink-3 tabular-nums">
            Holds {between(fact.valid_from, fact.valid_to, dateOnly)}; known {between(fact.recorded_at, fact.retracted_at, dateTime)}; said in{' '}
            <button type="button" onClick={() => onMemory({ system_id: fact.source.system_id ?? '', conversation_id: fact.source.conversation_id ?? '' })} className="rounded break-all underline underline-offset-2 hover:text-ink">
              {fact.source.system_id}, {fact.source.conversation_id}
            </button>
          </p>
        </li>
      ))}
    </ul>
  );
}
