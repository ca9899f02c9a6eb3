import { Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Database, HardDrive, Layers, Repeat2 } from 'lucide-react';

import { cacheStatsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { bytes, count, countShort, percent } from '../../lib/format';
import { Actions } from './actions';
import { EntriesCard } from './entries-card';

export function CachePage() {
  const stats = useQuery(cacheStatsQuery);
  const { data } = stats;
  return (
    <>
      <PageHeader
        title="Cache"
        purpose="Answers kept for identical requests. A hit costs nothing and takes no vendor."
        actions={<Refresh keys={['cache']} updatedAt={stats.dataUpdatedAt} />}
      />
      {stats.isError && (
        <div className="mb-4">
          <Failure title="The cache could not be read" error={stats.error} onRetry={() => void stats.refetch()} retrying={stats.isFetching} />
        </div>
      )}
      {(data || stats.isPending) && (
        <div className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4">
          <Stat
            highlight
            label="Hit rate"
            icon={Repeat2}
            value={data && percent(data.hit_rate)}
            note={data && `${count(data.exact.hits)} hits, ${count(data.exact.misses)} misses`}
          />
          <Stat label="Entries" icon={Layers} value={data && countShort(data.entries)} note={data && `${count(data.evictions)} evicted`} />
          <Stat label="Size" icon={HardDrive} value={data && bytes(data.bytes)} note={data && (data.entries > 0 ? `${bytes(data.bytes / data.entries)} per entry` : 'Nothing stored')} />
          <Stat
            label="Store"
            icon={Database}
            value={data && (data.backend === 'redis' ? 'Redis' : 'Memory')}
            note={data && (data.degraded ? 'Redis cannot be reached' : data.backend === 'redis' ? 'Shared by all instances' : 'Inside the gateway')}
          />
        </div>
      )}
      <EntriesCard actions={<Actions entries={data?.entries} />} />
    </>
  );
}
