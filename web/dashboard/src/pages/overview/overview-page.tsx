import { SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { Schemas } from '../../api/client';
import { metricsQuery, modelsQuery, seriesQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { FirstRequest } from './first-request';
import { modelRows, providerRows } from './figures';
import { HealthCard } from './health-card';
import { SavingsCard, TasksCard } from './share-cards';
import { StatGrid } from './stat-grid';
import { ModelTable, ProviderTable, TierTable } from './tables';

type Metrics = Schemas['MetricsReply'];

function Breakdown({ metrics }: { metrics: Metrics }) {
  const { data: series } = useQuery(seriesQuery);
  const { data: registry } = useQuery(modelsQuery);
  const providers = useMemo(() => new Map(registry?.models.map((model) => [model.name, model.provider])), [registry]);
  const models = useMemo(() => modelRows(metrics, series, providers), [metrics, series, providers]);
  return (
    <>
      <div className="mt-4 grid gap-4 lg:grid-cols-2">
        <SavingsCard />
        <TasksCard />
      </div>
      <SectionCard className="mt-4" title="Models" note="By the model that wrote the answer. Cache share and latency since the last start.">
        <ModelTable rows={models} />
      </SectionCard>
      <div className="mt-4 grid gap-4 lg:grid-cols-2">
        <SectionCard title="Cache tiers" note="A request asks them in this order.">
          <TierTable metrics={metrics} />
        </SectionCard>
        <SectionCard title="Providers" note="Where the answers were written.">
          <ProviderTable rows={providerRows(models)} />
        </SectionCard>
      </div>
    </>
  );
}

export function OverviewPage() {
  const metrics = useQuery(metricsQuery);
  const { data } = metrics;
  const unused = data?.total_requests === 0;
  return (
    <>
      <PageHeader
        title="Dashboard"
        purpose="What was asked, paid and saved."
        actions={<Refresh keys={['metrics', 'health', 'cache', 'models']} updatedAt={metrics.dataUpdatedAt} />}
      />
      {metrics.isError && (
        <div className="mb-4">
          <Failure
            title={data ? 'The figures could not be refreshed' : 'The figures could not be loaded'}
            error={metrics.error}
            onRetry={() => void metrics.refetch()}
            retrying={metrics.isFetching}
          />
        </div>
      )}
      {unused ? <FirstRequest /> : (data || metrics.isPending) && <StatGrid metrics={data} />}
      {data && !unused && <Breakdown metrics={data} />}
      {metrics.isPending && (
        <SectionCard className="mt-4" title="Models">
          <SkeletonRows rows={5} />
        </SectionCard>
      )}
      <HealthCard />
    </>
  );
}
