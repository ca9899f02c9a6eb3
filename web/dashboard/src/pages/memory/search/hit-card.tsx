import { Badge, Button, cx } from '@asahi/ui';
import { ChevronRight } from 'lucide-react';
import { useId, useState } from 'react';

import type { Hit } from '../../../api/memory';
import { dateTime } from '../../../lib/format';
import { TierBadge } from '../tier-badge';

const kMostSeen = 5;

const words = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(', ') : typeof value === 'string' || typeof value === 'number' ? String(value) : '');

/** Other places where the very same was said. */
function seenIn({ metadata }: Hit): { system_id: string; conversation_id: string }[] {
  const seen = metadata['seen_in'];
  return Array.isArray(seen) ? (seen as { system_id: string; conversation_id: string }[]) : [];
}

/** What meaning and words each spoke for it. */
function Why({ hit, id }: { hit: Hit; id: string }) {
  const { cosine, bm25, vector_rank, keyword_rank, matched_terms = [] } = hit.explanation;
  const seen = seenIn(hit);
  const rank = (value: number | undefined) => (value === undefined ? 'not among the best' : `rank ${value}`);
  const nothing = cosine === undefined && bm25 === undefined;
  return (
    <div id={id} className="mt-3 rounded-lg bg-sunken p-3 text-sm">
      {nothing ? (
        <p className="text-ink-2">Nothing was asked for: the newest memories come first.</p>
      ) : (
        <dl className="grid gap-x-4 gap-y-1.5 sm:grid-cols-[6rem_minmax(0,1fr)]">
          <dt className="text-ink-3">Meaning</dt>
          <dd className="text-ink tabular-nums">{cosine === undefined ? 'not compared' : `cosine ${cosine.toFixed(2)}, ${rank(vector_rank)}`}</dd>
          <dt className="text-ink-3">Words</dt>
          <dd className="text-ink tabular-nums">{bm25 === undefined ? 'none of them' : `BM25 ${bm25.toFixed(1)}, ${rank(keyword_rank)}`}</dd>
          {matched_terms.length > 0 && (
            <>
              <dt className="text-ink-3">That counted</dt>
              <dd className="flex flex-wrap gap-1.5">
                {matched_terms.map((term) => (
                  <Badge key={term} tone="accent">{term}</Badge>
                ))}
              </dd>
            </>
          )}
          <dt className="text-ink-3">Together</dt>
          <dd className="text-ink tabular-nums">{hit.score.toPrecision(3)}</dd>
        </dl>
      )}
      {seen.length > 0 && (
        <p className="mt-2 break-words text-ink-2">
          Said again in {seen.slice(0, kMostSeen).map(({ system_id, conversation_id }) => `${system_id} (${conversation_id})`).join(', ')}
          {seen.length > kMostSeen && ` and ${seen.length - kMostSeen} more`}; shown once.
        </p>
      )}
    </div>
  );
}

interface HitCardProps {
  hit: Hit;
  onOpen: () => void;
  /** Undefined: the caller may not. */
  onForget: (() => void) | undefined;
}

export function HitCard({ hit, onOpen, onForget }: HitCardProps) {
  const [why, setWhy] = useState(false);
  const id = useId();
  const { metadata, similarity } = hit;
  const facts = [
    ['tags', words(metadata['tags'])],
    ['project', words(metadata['project'])],
    ['type', words(metadata['type'])],
    ['conversation', hit.conversation_id],
  ].filter(([, value]) => value);
  return (
    <li className="min-w-0 rounded-lg border border-line bg-panel p-4" aria-label={`${hit.system_id}, ${hit.conversation_id}`}>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <h3 className="min-w-0 truncate text-sm font-semibold text-ink">{hit.system_id}</h3>
        <TierBadge tier={hit.tier} />
        <time dateTime={hit.timestamp} className="text-xs text-ink-3 tabular-nums">
          {dateTime(hit.timestamp)}
        </time>
        {similarity !== null && (
          <span className="ml-auto text-sm font-semibold text-ink tabular-nums" title="How alike this memory and what was asked are; what “Alike from” compares">
            <span className="sr-only">alike </span>
            {similarity.toFixed(2)}
          </span>
        )}
      </div>
      <p className="mt-2 line-clamp-4 text-sm break-words whitespace-pre-line text-ink">
        {hit.content === undefined && <span className="text-ink-3">Summary: </span>}
        {hit.content ?? hit.summary}
      </p>
      <p className="mt-2 text-xs break-words text-ink-3">{facts.map(([name, value]) => `${name} ${value}`).join(' · ')}</p>
      <div className="mt-2 -ml-2 flex flex-wrap items-center gap-1">
        <Button look="ghost" className="px-2 py-1" aria-expanded={why} aria-controls={why ? id : undefined} aria-label={`Why this? ${hit.conversation_id}`} onClick={() => setWhy(!why)}>
          <ChevronRight aria-hidden className={cx('size-4 transition-transform duration-200', why && 'rotate-90')} />
          Why this?
        </Button>
        <Button look="ghost" className="px-2 py-1" aria-label={`Open ${hit.conversation_id}`} onClick={onOpen}>
          Open
        </Button>
        {onForget && (
          <Button look="ghost" className="px-2 py-1 text-bad-text" aria-label={`Forget ${hit.conversation_id}`} onClick={onForget}>
            Forget…
          </Button>
        )}
      </div>
      {why && <Why hit={hit} id={id} />}
    </li>
  );
}
