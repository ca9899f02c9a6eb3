import { Badge, Button, EmptyState, SectionCard, SkeletonRows, Table, Td, Th } from '@asahi/ui';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Inbox, SearchX } from 'lucide-react';
import type { MouseEvent } from 'react';

import { requestsQuery, type Event } from '../../api/analytics';
import { CacheMark } from '../../app/cache-mark';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { RangePicker } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { count, countShort, dateTime, dollars, latencyOf } from '../../lib/format';
import type { Range } from '../../lib/range';
import { requestFilterOf } from '../../lib/request-search';
import { RequestDetail } from './detail';
import { ExportButton } from './export';
import { FilterBar } from './filter-bar';

interface ListProps {
  events: readonly Event[];
  /** The address of the request's details. */
  searchFor: (id: string) => Record<string, unknown>;
}

const Outcome = ({ event }: { event: Event }) => (event.error ? <Badge tone="bad">{event.error}</Badge> : <CacheMark tier={event.cache_tier} />);

function WideList({ events, searchFor }: ListProps) {
  const navigate = useNavigate();
  const open = (id: string) => (press: MouseEvent) => {
    // The link in the row, and text being marked, stay what they are.
    if ((press.target as Element).closest('a') || window.getSelection()?.toString()) return;
    void navigate({ to: '.', search: searchFor(id) as never, resetScroll: false });
  };
  return (
    <Table label="Requests" className="max-sm:hidden">
      <thead>
        <tr>
          <Th>Time</Th>
          <Th>Model</Th>
          <Th>Task</Th>
          <Th>User</Th>
          <Th>Cache</Th>
          <Th numeric>Tokens</Th>
          <Th numeric>Cost</Th>
          <Th numeric>Latency</Th>
        </tr>
      </thead>
      <tbody>
        {events.map((event) => (
          <tr key={event.event_id} className="cursor-pointer hover:bg-sunken/60" onClick={open(event.request_id)}>
            <Td className="whitespace-nowrap">
              <Link to="." search={searchFor(event.request_id) as never} resetScroll={false} className="block text-ink tabular-nums underline-offset-4 hover:underline">
                {dateTime(event.timestamp)}
                <span className="block font-mono text-xs text-ink-3">{event.request_id}</span>
              </Link>
            </Td>
            <Td className="max-w-52 truncate font-medium" title={event.model_used}>
              {event.model_used || '–'}
            </Td>
            <Td className="whitespace-nowrap text-ink-2">{event.task_type ?? '–'}</Td>
            <Td className="max-w-36 truncate text-ink-2" title={event.user_id ?? undefined}>
              {event.user_id ?? '–'}
            </Td>
            <Td>
              <Outcome event={event} />
            </Td>
            <Td numeric>{countShort(event.total_tokens)}</Td>
            <Td numeric>{dollars(event.cost)}</Td>
            <Td numeric>{latencyOf(event.latency_ms)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** Two lines a request, for phones. */
function NarrowList({ events, searchFor }: ListProps) {
  return (
    <ul aria-label="Requests" className="-mx-4 divide-y divide-line border-t border-line sm:hidden">
      {events.map((event) => (
        <li key={event.event_id}>
          <Link to="." search={searchFor(event.request_id) as never} resetScroll={false} className="block px-4 py-3 text-sm focus-visible:-outline-offset-2">
            <span className="flex justify-between gap-3">
              <span className="truncate font-medium text-ink">{event.model_used || event.request_id}</span>
              <span className="text-ink tabular-nums">{dollars(event.cost)}</span>
            </span>
            <span className="mt-1 flex flex-wrap items-center justify-between gap-x-3 gap-y-1 text-xs text-ink-3">
              <span className="tabular-nums">
                {dateTime(event.timestamp)} · {latencyOf(event.latency_ms)}
              </span>
              <Outcome event={event} />
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

/** Every request, found by words and filters; which one is looked at stands in the address. */
export function RequestsPage() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const { filter, range, chosen } = requestFilterOf(search, Date.now());
  const requests = useInfiniteQuery(requestsQuery(filter));
  const { data, isError, error, refetch, isFetching, hasNextPage, fetchNextPage, isFetchingNextPage, isPlaceholderData } = requests;
  const events = data?.pages.flatMap((page) => page.data) ?? [];
  const id = typeof search['id'] === 'string' ? search['id'] : undefined;
  const searchFor = (request: string) => ({ ...search, id: request });
  const go = (change: Record<string, unknown>, replace = true) =>
    void navigate({
      to: '.',
      search: (() => Object.fromEntries(Object.entries({ ...search, ...change }).filter(([, value]) => value !== undefined && value !== ''))) as never,
      replace,
      resetScroll: false,
    });
  const some = Object.keys(chosen).length > 0;
  const note = !data ? (isError ? 'Not loaded' : 'Loading') : `${count(events.length)}${hasNextPage ? ' loaded, more follow' : ' in all'}`;
  return (
    <>
      <PageHeader
        title="Requests"
        purpose="Every request with its cost, its way through the cache and its stages."
        actions={
          <>
            <RangePicker range={range} onChange={({ range: name, from, to }: Range) => go({ range: name, from, to })} />
            <Refresh keys={['analytics']} updatedAt={requests.dataUpdatedAt} />
          </>
        }
      />
      <SectionCard title="Requests" note={<span role="status">{note}</span>} actions={<ExportButton filter={filter} disabled={events.length === 0} />}>
        <FilterBar chosen={chosen} range={range} onChange={(change) => go(change)} />
        {isError && (
          <div className="mb-4">
            <Failure
              title={data ? 'The list could not be refreshed' : 'The requests could not be loaded'}
              error={error}
              onRetry={() => void refetch()}
              retrying={isFetching}
            />
          </div>
        )}
        {!data ? (
          !isError && <SkeletonRows rows={10} />
        ) : events.length > 0 ? (
          <div aria-busy={isPlaceholderData} className={isPlaceholderData ? 'opacity-60 transition-opacity duration-200' : ''}>
            <WideList events={events} searchFor={searchFor} />
            <NarrowList events={events} searchFor={searchFor} />
            {hasNextPage && (
              <div className="mt-4 flex justify-center border-t border-line pt-4">
                <Button onClick={() => void fetchNextPage()} busy={isFetchingNextPage}>
                  Load more
                </Button>
              </div>
            )}
          </div>
        ) : some ? (
          <EmptyState
            icon={SearchX}
            title="No request matches"
            action={<Button onClick={() => go(Object.fromEntries(Object.keys(chosen).map((name) => [name, undefined])))}>Clear the filter</Button>}
          >
            Words are looked up in ids, users, models, tasks, routing reasons and errors; prompts and answers are not kept.
          </EmptyState>
        ) : (
          <EmptyState
            icon={Inbox}
            title="No request in this time"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            Requests appear here a second after they were answered.
          </EmptyState>
        )}
      </SectionCard>
      <RequestDetail id={id} onClose={() => go({ id: undefined })} />
    </>
  );
}
