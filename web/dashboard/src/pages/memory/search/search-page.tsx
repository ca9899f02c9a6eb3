import { Button, EmptyState, Notice, Skeleton } from '@asahi/ui';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { BrainCircuit, SearchX, SlidersHorizontal, X } from 'lucide-react';
import { useState } from 'react';

import { searchQuery, type SearchReply } from '../../../api/memory';
import { may, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { count, milliseconds } from '../../../lib/format';
import { addressOf, chipsOf, memoryChoiceOf, memoryRequestOf, type Chip, type MemoryChoice } from '../../../lib/memory-search';
import { FirstMemory } from '../first-memory';
import { Facets } from './facets';
import { ForgetDialog } from './forget-dialog';
import { HitCard } from './hit-card';
import { MemoryPanel, type MemoryId } from './memory-panel';
import { SearchForm } from './search-form';

function Chips({ chips, onChange }: { chips: readonly Chip[]; onChange: (choice: MemoryChoice) => void }) {
  if (chips.length === 0) return null;
  return (
    <ul aria-label="Filters" className="flex flex-wrap gap-2">
      {chips.map(({ text, without }) => (
        <li key={text} className="min-w-0">
          <button
            type="button"
            aria-label={`Drop ${text}`}
            onClick={() => onChange(without)}
            className="flex max-w-full items-center gap-1.5 rounded-full bg-accent-soft py-1 pr-2 pl-3 text-xs font-medium text-accent-text hover:bg-line"
          >
            <span className="truncate">{text}</span>
            <X aria-hidden className="size-3.5 shrink-0" />
          </button>
        </li>
      ))}
    </ul>
  );
}

function Waiting() {
  return (
    <div role="status" aria-label="Loading" className="space-y-3">
      {Array.from({ length: 5 }, (_, index) => (
        <Skeleton key={index} className="h-36 rounded-lg" />
      ))}
    </div>
  );
}

/** In the words of the reply: what was looked through, how much of it is shown, how long that took. */
function summaryOf(reply: SearchReply, shown: number): string {
  const all = `${count(shown)} of ${count(reply.total_results)}`;
  const from = reply.cache === 'miss' ? milliseconds(reply.query_time_ms) : 'asked before';
  return `${shown === 0 ? 'Nothing found' : all} · ${from}`;
}

/** Searches what every agent system remembers; what is searched for stands in the address. */
export function MemorySearchPage() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const caller = useCaller();
  const choice = memoryChoiceOf(search);
  const [again, setAgain] = useState(0);
  const [opened, setOpened] = useState<MemoryId>();
  const [forgetting, setForgetting] = useState<MemoryId>();
  const [narrow, setNarrow] = useState(false);
  const query = useInfiniteQuery(searchQuery(memoryRequestOf(choice), again));
  const { data, isError, error, refetch, isFetching, hasNextPage, fetchNextPage, isFetchingNextPage, isPlaceholderData } = query;
  const first = data?.pages[0];
  const hits = data?.pages.flatMap((page) => page.results) ?? [];
  const chips = chipsOf(choice);
  const go = (next: MemoryChoice) => void navigate({ to: '.', search: (() => addressOf(next)) as never, resetScroll: false });
  const forget = may(caller, 'ingest:delete') ? setForgetting : undefined;
  return (
    <>
      <PageHeader title="Search" purpose="What any agent system remembers, by meaning, by words, or both." />
      <div className="space-y-3">
        <SearchForm choice={choice} onChange={go} busy={isFetching && !isFetchingNextPage} />
        <Chips chips={chips} onChange={go} />
        <p role="status" className="text-sm text-ink-3 tabular-nums">
          {first ? summaryOf(first, hits.length) : isError ? 'Not searched' : 'Searching'}
        </p>
      </div>
      <div className="mt-4 grid gap-6 lg:grid-cols-[15rem_minmax(0,1fr)]">
        <aside aria-label="Narrow the search" className="min-w-0">
          <Button className="lg:hidden" aria-expanded={narrow} onClick={() => setNarrow(!narrow)}>
            <SlidersHorizontal aria-hidden className="size-4" />
            {narrow ? 'Hide facets' : 'Narrow by facets'}
          </Button>
          <div className={narrow ? 'max-lg:mt-4' : 'max-lg:hidden'}>{!(isError && !first) && <Facets facets={first?.facets} choice={choice} onChange={go} />}</div>
        </aside>
        <div className="min-w-0 space-y-3">
          {first?.partial && (
            <Notice tone="warn">
              <span className="font-semibold">Partial.</span> {first.failed_shards.join(', ') || 'A part'} did not answer in time; the rest is shown.{' '}
              <button type="button" className="font-medium text-accent-text underline underline-offset-4" onClick={() => setAgain(again + 1)}>
                Ask again
              </button>
            </Notice>
          )}
          {isError && <Failure title={data ? 'The search could not be repeated' : 'The search failed'} error={error} onRetry={() => void refetch()} retrying={isFetching} />}
          {!first ? (
            !isError && <Waiting />
          ) : hits.length > 0 ? (
            <>
              <ul aria-label="Memories" aria-busy={isPlaceholderData || undefined} className={isPlaceholderData ? 'space-y-3 opacity-60 transition-opacity duration-200' : 'space-y-3'}>
                {hits.map((hit) => (
                  <HitCard key={`${hit.system_id}/${hit.conversation_id}`} hit={hit} onOpen={() => setOpened(hit)} onForget={forget && (() => forget(hit))} />
                ))}
              </ul>
              {hasNextPage && (
                <div className="flex justify-center pt-2">
                  <Button onClick={() => void fetchNextPage()} busy={isFetchingNextPage}>
                    More
                  </Button>
                </div>
              )}
            </>
          ) : choice.q || chips.length > 0 ? (
            <EmptyState
              icon={SearchX}
              title="No memory matches"
              action={
                <div className="flex flex-wrap justify-center gap-2">
                  {chips.map(({ text, without }) => (
                    <Button key={text} onClick={() => go(without)}>
                      Drop {text}
                    </Button>
                  ))}
                  {choice.mode !== 'hybrid' && <Button onClick={() => go({ ...choice, mode: 'hybrid' })}>Search by words and meaning</Button>}
                  {!choice.tiers.includes('cold') && <Button onClick={() => go({ ...choice, tiers: ['hot', 'warm', 'cold'] })}>Ask the cold tier too</Button>}
                </div>
              }
            >
              {chips.length > 0 ? 'A filter may leave nothing.' : 'Other words may find it.'}
            </EmptyState>
          ) : (
            <FirstMemory icon={BrainCircuit} title="Nothing is remembered yet">
              A memory is a text with a time and the system that it comes from. What is sent is found by the next search.
            </FirstMemory>
          )}
        </div>
      </div>
      <MemoryPanel id={opened} onClose={() => setOpened(undefined)} />
      <ForgetDialog id={forgetting} onDone={() => setForgetting(undefined)} />
    </>
  );
}
