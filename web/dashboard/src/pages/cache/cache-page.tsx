import { SectionCard, Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Database, HardDrive, Layers, Repeat2 } from 'lucide-react';

import type { Schemas } from '../../api/client';
import { cacheStatsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { bytes, count, countShort, percent } from '../../lib/format';
import { Actions } from './actions';
import { EntriesCard } from './entries-card';

type Semantic = NonNullable<Schemas['CacheStats']['semantic']>;

/** How the bound on wrong answers is doing. */
function SemanticCard({ semantic }: { semantic: Semantic }) {
  const { questions, estimated_wrong: wrong, error_bound: bound, checked } = semantic;
  const share = questions === 0 ? 0 : wrong / questions;
  const facts = [
    ['Wrong answers allowed', percent(bound)],
    ['Estimated', questions === 0 ? 'nothing asked yet' : `${percent(share)} of ${count(questions)} questions`],
    ['Checked against the model', count(checked)],
    ['Found by', `${semantic.embedder}, ${semantic.index}`],
  ] as const;
  return (
    <SectionCard className="mt-4" title="Questions that mean the same" note="Hits by meaning are held to an error bound; some are checked against the model.">
      <dl className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt className="text-sm text-ink-3">{name}</dt>
            <dd className="mt-0.5 font-medium text-ink tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </SectionCard>
  );
}

export function CachePage() {
  const stats = useQuery(cacheStatsQuery);
  const { data } = stats;
  return (
    <>
      <PageHeader
        title="Cache"
        purpose="Answers kept for identical requests, and for questions that mean the same. A hit costs nothing and takes no vendor."
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
            note={data && `${count(data.exact.hits)} exact${data.semantic ? `, ${count(data.semantic.hits)} by meaning` : ''}`}
          />
          <Stat
            label="Entries"
            icon={Layers}
            value={data && countShort(data.entries + (data.semantic?.entries ?? 0))}
            note={data && (data.semantic ? `${count(data.semantic.entries)} found by meaning` : `${count(data.evictions)} evicted`)}
          />
          <Stat label="Size" icon={HardDrive} value={data && bytes(data.bytes)} note={data && (data.entries > 0 ? `${bytes(data.bytes / data.entries)} per entry` : 'Nothing stored')} />
          <Stat
            label="Store"
            icon={Database}
            value={data && (data.backend === 'redis' ? 'Redis' : 'Memory')}
            note={data && (data.degraded ? 'Redis cannot be reached' : data.backend === 'redis' ? 'Shared by all instances' : 'Inside the gateway')}
          />
        </div>
      )}
      {data?.semantic && <SemanticCard semantic={data.semantic} />}
      <EntriesCard actions={<Actions entries={data && data.entries + (data.semantic?.entries ?? 0)} />} />
    </>
  );
}
