import { Button, EmptyState, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { ChevronLeft, ChevronRight, ScrollText, SearchX } from 'lucide-react';
import { useState } from 'react';

import { auditQuery, type AuditFilter } from '../../../api/queries';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { count } from '../../../lib/format';
import { EntryTable } from './entry-table';
import { FilterForm } from './filter-form';
import { ChainBadge, Export } from './tools';

const kPageSize = 50;

export function AuditPage() {
  const [filter, setFilter] = useState<AuditFilter>({});
  const [offset, setOffset] = useState(0);
  const log = useQuery(auditQuery(filter, kPageSize, offset));
  const entries = log.data?.entries ?? [];
  const filtered = Object.keys(filter).length > 0;
  const choose = (next: AuditFilter) => {
    setFilter(next);
    setOffset(0);
  };
  return (
    <>
      <PageHeader
        title="Audit Log"
        purpose="Who did what, when and from where. Entries are chained by hashes, so that none can be altered unseen."
        actions={<Refresh keys={['audit', 'audit-chain']} updatedAt={log.dataUpdatedAt} />}
      />
      <ChainBadge />
      <SectionCard
        className="mt-4"
        title="Entries"
        note={
          <span role="status">
            {!log.data
              ? 'Loading'
              : entries.length === 0
                ? 'None'
                : `${count(offset + 1)} to ${count(offset + entries.length)} of ${log.data.org_id}, newest first`}
          </span>
        }
        actions={<Export filter={filter} />}
      >
        <FilterForm onChange={choose} actions={entries.map(({ action }) => action)} />
        {log.isError && !log.data ? (
          <Failure title="The audit log could not be read" error={log.error} onRetry={() => void log.refetch()} retrying={log.isFetching} />
        ) : !log.data ? (
          <SkeletonRows rows={6} />
        ) : entries.length === 0 ? (
          filtered || offset > 0 ? (
            <EmptyState icon={SearchX} title="No entry matches">
              Fewer or shorter conditions find more; Clear takes them all away.
            </EmptyState>
          ) : (
            <EmptyState icon={ScrollText} title="Nothing is recorded yet">
              Logins, keys, policies and refusals are written down here as they happen.
            </EmptyState>
          )
        ) : (
          <EntryTable entries={entries} />
        )}
        {log.isError && log.data && (
          <div className="mt-4">
            <Failure title="These entries are old" error={log.error} onRetry={() => void log.refetch()} retrying={log.isFetching} />
          </div>
        )}
        {(offset > 0 || entries.length === kPageSize) && (
          <div className="mt-5 flex justify-end gap-2">
            <Button disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - kPageSize))}>
              <ChevronLeft aria-hidden className="size-4" />
              Newer
            </Button>
            <Button disabled={entries.length < kPageSize} onClick={() => setOffset(offset + kPageSize)}>
              Older
              <ChevronRight aria-hidden className="size-4" />
            </Button>
          </div>
        )}
      </SectionCard>
    </>
  );
}
