import { Button, EmptyState, Field, Input, SectionCard, Select, SkeletonRows } from '@asahi/ui';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { ArrowUp, SearchX, Upload as UploadIcon } from 'lucide-react';
import { useEffect, useState } from 'react';

import { newestUploadsQuery, uploadsQuery, type UploadFilter, type UploadState } from '../../../api/memory';
import { may, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { useNow } from '../../../app/use-now';
import { count } from '../../../lib/format';
import { FirstMemory } from '../first-memory';
import { IngestionCards, LookNow } from './ingestion-cards';
import { merged } from './ledger';
import { UploadTable } from './upload-table';

const kStates = [
  ['discovered', 'Waiting'],
  ['processing', 'In work'],
  ['done', 'Done'],
  ['partial', 'Partial'],
  ['rejected', 'Rejected'],
  ['failed', 'Dead'],
] as const;
const kTyping = 300;
/** Whoever reads below that does not want the rows to move. */
const kTopPx = 320;

function filterOf(search: Record<string, unknown>): UploadFilter {
  const state = kStates.find(([name]) => name === search['state'])?.[0] as UploadState | undefined;
  const system = ['string', 'number'].includes(typeof search['system']) ? String(search['system']).slice(0, 100) : '';
  return { ...(state ? { state } : {}), ...(system ? { system_id: system } : {}) };
}

interface FiltersProps {
  filter: UploadFilter;
  onChange: (filter: UploadFilter) => void;
}

function Filters({ filter, onChange }: FiltersProps) {
  const [typed, setTyped] = useState(filter.system_id ?? '');
  const [from, setFrom] = useState(filter.system_id);
  if (from !== filter.system_id) {
    setFrom(filter.system_id);
    if (typed.trim() !== (filter.system_id ?? '')) setTyped(filter.system_id ?? '');
  }
  useEffect(() => {
    const wanted = typed.trim();
    if (wanted === (filter.system_id ?? '')) return;
    const { system_id, ...rest } = filter;
    const timer = setTimeout(() => onChange(wanted ? { ...rest, system_id: wanted } : rest), kTyping);
    return () => clearTimeout(timer);
  });
  return (
    <div role="search" aria-label="Uploads" className="mb-4 flex flex-wrap gap-2">
      <Field label="State" hideLabel className="w-40">
        {(ids) => (
          <Select
            {...ids}
            value={filter.state ?? ''}
            onChange={(event) => {
              const { state, ...rest } = filter;
              onChange(event.target.value ? { ...rest, state: event.target.value as UploadState } : rest);
            }}
          >
            <option value="">Every state</option>
            {kStates.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="System" hideLabel className="min-w-40 flex-1 sm:max-w-64">
        {(ids) => <Input {...ids} type="search" placeholder="Any system" maxLength={100} autoComplete="off" spellCheck={false} value={typed} onChange={(event) => setTyped(event.target.value)} />}
      </Field>
    </div>
  );
}

/** What was sent, what became of it, and what has to be sent again. */
export function UploadsPage() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const queries = useQueryClient();
  const caller = useCaller();
  const now = useNow(5_000);
  const filter = filterOf(search);
  const some = Object.keys(filter).length > 0;
  const ledger = useInfiniteQuery(uploadsQuery(filter));
  const newest = useQuery(newestUploadsQuery(filter));
  const { data, isError, error, refetch, isFetching, hasNextPage, fetchNextPage, isFetchingNextPage, isPlaceholderData } = ledger;
  const { rows, waiting } = merged(data?.pages.flatMap(({ uploads }) => uploads) ?? [], isPlaceholderData ? [] : (newest.data ?? []));
  const arrived = waiting.length > 0 && !isFetching;
  useEffect(() => {
    // Nobody reads further down: the new ones may come in at once.
    if (arrived && window.scrollY < kTopPx && (data?.pages.length ?? 0) <= 1) void refetch();
  }, [arrived, data, refetch]);
  const show = () => {
    window.scrollTo({ top: 0, behavior: 'smooth' });
    void queries.resetQueries({ queryKey: uploadsQuery(filter).queryKey });
  };
  const go = ({ state, system_id: system }: UploadFilter) =>
    void navigate({ to: '.', search: (() => ({ ...(state ? { state } : {}), ...(system ? { system } : {}) })) as never, replace: true, resetScroll: false });
  const note = !data ? (isError ? 'Not loaded' : 'Loading') : `${count(rows.length)}${hasNextPage ? ' loaded, more follow' : ' in all'}`;
  return (
    <>
      <PageHeader
        title="Uploads"
        purpose="What was sent, what became of it, and what has to be sent again."
        actions={
          <>
            <LookNow />
            <Refresh keys={['memory']} updatedAt={newest.dataUpdatedAt} />
          </>
        }
      />
      <IngestionCards />
      <SectionCard className="mt-4" title="Uploads" note={<span role="status">{note}</span>}>
        <Filters filter={filter} onChange={go} />
        {isError && (
          <div className="mb-4">
            <Failure title={data ? 'The ledger could not be refreshed' : 'The ledger could not be read'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
          </div>
        )}
        {!data ? (
          !isError && <SkeletonRows rows={8} />
        ) : rows.length > 0 ? (
          <div aria-busy={isPlaceholderData || undefined} className={isPlaceholderData ? 'opacity-60 transition-opacity duration-200' : undefined}>
            {arrived && (
              <div className="sticky top-16 z-10 mb-3 flex justify-center">
                <Button look="primary" onClick={show}>
                  <ArrowUp aria-hidden className="size-4" />
                  {count(waiting.length)} new
                </Button>
              </div>
            )}
            <UploadTable uploads={rows} canRetry={may(caller, 'ingest:upload')} now={now} />
            {hasNextPage && (
              <div className="mt-4 flex justify-center border-t border-line pt-4">
                <Button onClick={() => void fetchNextPage()} busy={isFetchingNextPage}>
                  Load more
                </Button>
              </div>
            )}
          </div>
        ) : some ? (
          <EmptyState icon={SearchX} title="No upload matches" action={<Button onClick={() => go({})}>Clear the filter</Button>}>
            The ledger has none of this state and system.
          </EmptyState>
        ) : (
          <FirstMemory icon={UploadIcon} title="Nothing was sent yet">
            A bundle is a folder in the bucket that is watched; memories can be pushed one by one or as a file, too.
          </FirstMemory>
        )}
      </SectionCard>
    </>
  );
}
