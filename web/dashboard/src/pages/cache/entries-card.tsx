import { Button, EmptyState, Field, Input, SectionCard, Select, SkeletonRows, SortTh, Table, Td, type Sort } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { DatabaseZap, SearchX } from 'lucide-react';
import { useState, type ReactNode } from 'react';

import type { Schemas } from '../../api/client';
import { cacheEntriesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { bytes, count, dateTime, dollars, duration } from '../../lib/format';
import { sortedBy } from '../../lib/sort';

type Entry = Schemas['CacheEntry'];
type Key = 'query' | 'tier' | 'model' | 'task' | 'cost' | 'size' | 'created' | 'left' | 'hits';

const kLimits = [50, 200, 500];
const kTiers: Record<Entry['tier'], string> = { 1: 'exact words', 2: 'meaning', 3: 'step' };

function valueOf(entry: Entry, key: Key): string | number {
  switch (key) {
    case 'query':
      return entry.query;
    case 'tier':
      return entry.tier;
    case 'model':
      return entry.model;
    case 'task':
      return entry.task_type;
    case 'cost':
      return entry.cost;
    case 'size':
      return entry.size_bytes;
    case 'created':
      return entry.created_at;
    case 'hits':
      return entry.hits ?? -1;
    case 'left':
      return leftOf(entry);
  }
}

const leftOf = (entry: Entry): number =>
  entry.ttl_seconds_left === undefined || entry.ttl_seconds_left < 0 ? Infinity : entry.ttl_seconds_left;

function EntryTable({ entries }: { entries: readonly Entry[] }) {
  const [sort, setSort] = useState<Sort<Key>>({ key: 'created', down: true });
  const heading = { sort, onSort: setSort };
  return (
    <Table label="Stored answers">
      <thead>
        <tr>
          <SortTh by="query" {...heading}>
            Question
          </SortTh>
          <SortTh by="tier" {...heading}>
            Found by
          </SortTh>
          <SortTh by="model" {...heading}>
            Model
          </SortTh>
          <SortTh by="task" {...heading}>
            Task
          </SortTh>
          <SortTh by="created" {...heading}>
            Stored
          </SortTh>
          <SortTh by="hits" numeric {...heading}>
            Hits
          </SortTh>
          <SortTh by="left" numeric {...heading}>
            Expires in
          </SortTh>
          <SortTh by="size" numeric {...heading}>
            Size
          </SortTh>
          <SortTh by="cost" numeric {...heading}>
            Cost
          </SortTh>
        </tr>
      </thead>
      <tbody>
        {sortedBy(entries, sort, valueOf).map((entry) => (
          <tr key={`${entry.tier} ${entry.key}`} className="hover:bg-sunken/60">
            <Td className="w-full max-w-0 min-w-56 truncate" title={entry.query}>
              {entry.query}
            </Td>
            <Td className="whitespace-nowrap text-ink-2">{kTiers[entry.tier]}</Td>
            <Td className="whitespace-nowrap text-ink-2">{entry.model}</Td>
            <Td className="text-ink-2">{entry.task_type}</Td>
            <Td className="whitespace-nowrap text-ink-2 tabular-nums">{dateTime(entry.created_at)}</Td>
            <Td numeric>{typeof entry.hits === 'number' ? count(entry.hits) : '–'}</Td>
            <Td numeric>{leftOf(entry) === Infinity ? 'never' : duration(leftOf(entry))}</Td>
            <Td numeric>{bytes(entry.size_bytes)}</Td>
            <Td numeric>{dollars(entry.cost)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** The stored answers, found by their question or model among those loaded. */
export function EntriesCard({ actions }: { actions: ReactNode }) {
  const [limit, setLimit] = useState(kLimits[0] ?? 50);
  const [text, setText] = useState('');
  const entries = useQuery(cacheEntriesQuery(limit));
  const all = entries.data?.entries ?? [];
  const wanted = text.trim().toLowerCase();
  const shown = all.filter((entry) => `${entry.query} ${entry.model} ${entry.task_type}`.toLowerCase().includes(wanted));
  const cut = all.length >= limit;
  const note = !entries.data
    ? 'Loading'
    : wanted
      ? `${count(shown.length)} of ${count(all.length)} loaded`
      : cut
        ? `The first ${count(all.length)}; raise the limit or export to see more.`
        : `${count(all.length)} stored`;
  return (
    <SectionCard className="mt-4" title="Entries" note={<span role="status">{note}</span>} actions={actions}>
      {entries.isError && !entries.data ? (
        <Failure title="The entries could not be listed" error={entries.error} onRetry={() => void entries.refetch()} retrying={entries.isFetching} />
      ) : !entries.data ? (
        <SkeletonRows rows={6} />
      ) : all.length === 0 ? (
        <EmptyState
          icon={DatabaseZap}
          title="Nothing is stored yet"
          action={
            <Button asChild>
              <Link to="/inference">Ask something</Link>
            </Button>
          }
        >
          Every answer is kept here, so that the same request need not be paid twice.
        </EmptyState>
      ) : (
        <>
          <div className="mb-4 flex flex-wrap gap-2" role="search" aria-label="Entries">
            <Field label="Search entries" hideLabel className="min-w-0 flex-1 sm:max-w-80">
              {(ids) => (
                <Input {...ids} type="search" placeholder="Search question or model" value={text} onChange={(event) => setText(event.target.value)} />
              )}
            </Field>
            <Field label="Most entries to load" hideLabel className="w-32">
              {(ids) => (
                <Select {...ids} value={limit} onChange={(event) => setLimit(Number(event.target.value))}>
                  {kLimits.map((most) => (
                    <option key={most} value={most}>
                      Up to {most}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
          {shown.length > 0 ? (
            <EntryTable entries={shown} />
          ) : (
            <EmptyState icon={SearchX} title="No entry matches" action={<Button onClick={() => setText('')}>Clear the search</Button>} />
          )}
        </>
      )}
    </SectionCard>
  );
}
