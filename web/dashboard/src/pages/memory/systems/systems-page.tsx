import { Button, EmptyState, Field, Input, SectionCard, SkeletonRows, Stat } from '@asahi/ui';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Bot, BrainCircuit, Hourglass, SearchX, Upload } from 'lucide-react';
import { useState } from 'react';

import { ingestionQuery, storageQuery, systemsQuery, type System, type TierStatus } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { count } from '../../../lib/format';
import { FirstMemory } from '../first-memory';
import { FitnessCard } from './fitness-card';
import { SystemPanel } from './system-panel';
import { SystemTable } from './system-table';

const recordsOf = (tiers: Record<string, TierStatus>): number => Object.values(tiers).reduce((sum, { records }) => sum + (records ?? 0), 0);

/** Each figure stands or fails by itself. */
function Figures({ systems, total }: { systems: readonly System[] | undefined; total: number | undefined }) {
  const storage = useQuery(storageQuery);
  const ingestion = useQuery(ingestionQuery);
  const silent = systems?.filter((system) => system.silent).length ?? 0;
  const away = Object.entries(storage.data ?? {}).flatMap(([name, { health }]) => (health === 'healthy' ? [] : [name]));
  const unknown = (failed: boolean) => (failed ? '–' : undefined);
  return (
    <div className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4">
      <Stat label="Systems" icon={Bot} value={total === undefined ? '–' : count(total)} note={silent > 0 ? `${count(silent)} silent for a week` : 'none silent'} />
      <Stat
        label="Memories"
        icon={BrainCircuit}
        value={storage.data ? count(recordsOf(storage.data)) : unknown(storage.isError)}
        note={storage.data ? (away.length > 0 ? `without ${away.join(' and ')}, which ${away.length > 1 ? 'are' : 'is'} away` : 'in all tiers') : 'the tiers cannot be asked'}
      />
      <Stat
        label="Uploads done"
        icon={Upload}
        value={ingestion.data ? count(ingestion.data.uploads.done ?? 0) : unknown(ingestion.isError)}
        note={ingestion.data ? `${count(ingestion.data.uploads.partial ?? 0)} in part, ${count((ingestion.data.uploads.failed ?? 0) + (ingestion.data.uploads.rejected ?? 0))} not` : 'cannot be asked'}
      />
      <Stat
        label="Waiting"
        icon={Hourglass}
        value={ingestion.data ? count(ingestion.data.queue_size) : unknown(ingestion.isError)}
        note={ingestion.data ? (ingestion.data.paused ? 'ingestion waits' : `${count(ingestion.data.in_work)} in work`) : 'cannot be asked'}
      />
    </div>
  );
}

/** Which agent systems remember here, how much, and whether they still do. */
export function SystemsPage() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const [words, setWords] = useState('');
  const query = useInfiniteQuery(systemsQuery);
  const { data, isError, error, refetch, isFetching, hasNextPage, fetchNextPage, isFetchingNextPage } = query;
  const systems = data?.pages.flatMap((page) => page.systems);
  const total = data?.pages[0]?.total;
  const wanted = words.trim().toLowerCase();
  const shown = systems?.filter(({ system_id }) => system_id.toLowerCase().includes(wanted));
  const chosen = ['string', 'number'].includes(typeof search['system']) ? String(search['system']).slice(0, 100) : undefined;
  const show = (system: string | undefined) => void navigate({ to: '.', search: (() => (system ? { system } : {})) as never, resetScroll: false });
  const note = !systems ? (isError ? 'Not loaded' : 'Loading') : wanted ? `${count(shown?.length ?? 0)} of the ${count(systems.length)} loaded` : `${count(systems.length)} of ${count(total ?? 0)}`;
  return (
    <>
      <PageHeader
        title="Systems"
        purpose="Which agent systems remember here, how much, and whether they still do."
        actions={<Refresh keys={['memory']} updatedAt={query.dataUpdatedAt} />}
      />
      {(systems || isError) && <Figures systems={systems} total={total} />}
      {!systems && !isError && (
        <div role="status" aria-label="Loading figures" className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4">
          {Array.from({ length: 4 }, (_, i) => (
            <div key={i} className="skeleton h-28" />
          ))}
        </div>
      )}
      <SectionCard className="mt-4" title="Systems" note={<span role="status">{note}</span>}>
        {isError && (
          <div className="mb-4">
            <Failure title={data ? 'The systems could not be asked for again' : 'The systems could not be loaded'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
          </div>
        )}
        {!systems ? (
          !isError && <SkeletonRows rows={6} />
        ) : systems.length === 0 ? (
          <FirstMemory icon={Bot} title="No system remembers here yet">
            A system is whoever sends memories under one name: an agent, a bot, a team. It appears with its first memory.
          </FirstMemory>
        ) : (
          <>
            <Field label="Find a system" hideLabel className="mb-4 sm:max-w-72">
              {(ids) => <Input {...ids} type="search" placeholder="Find a system" maxLength={100} autoComplete="off" spellCheck={false} value={words} onChange={(event) => setWords(event.target.value)} />}
            </Field>
            {shown && shown.length > 0 ? (
              <SystemTable systems={shown} onOpen={show} />
            ) : (
              <EmptyState icon={SearchX} title="No system matches" action={<Button onClick={() => setWords('')}>Show all</Button>}>
                {hasNextPage ? 'Not among those that are loaded; more follow.' : `None of them has “${words.trim()}” in its name.`}
              </EmptyState>
            )}
            {hasNextPage && (
              <div className="mt-4 flex justify-center border-t border-line pt-4">
                <Button onClick={() => void fetchNextPage()} busy={isFetchingNextPage}>
                  Load more
                </Button>
              </div>
            )}
          </>
        )}
      </SectionCard>
      {systems && systems.length > 0 && <FitnessCard />}
      <SystemPanel id={chosen} onClose={() => show(undefined)} />
    </>
  );
}
