import { useQuery } from '@tanstack/react-query';

import { overviewQuery } from '../../api/analytics';
import { metricsQuery } from '../../api/queries';
import { may, useCaller } from '../../app/access';
import { Failure } from '../../app/failure';
import { HitRateCard } from '../../app/hit-rate-card';
import { PageHeader } from '../../app/page-header';
import { RangePicker, useRange } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { SavingsCard } from '../../app/savings-card';
import type { Range } from '../../lib/range';
import { FirstRequest } from './first-request';
import { HealthCard } from './health-card';
import { ModelCostCard } from './model-cost-card';
import { RecentCard } from './recent-card';
import { StatCards } from './stat-cards';

function Figures({ range }: { range: Range }) {
  const overview = useQuery(overviewQuery(range));
  return (
    <>
      {overview.isError && (
        <div className="mb-4">
          <Failure
            title={overview.data ? 'The figures could not be refreshed' : 'The figures could not be loaded'}
            error={overview.error}
            onRetry={() => void overview.refetch()}
            retrying={overview.isFetching}
          />
        </div>
      )}
      {(overview.data || overview.isPending) && <StatCards overview={overview.data} />}
    </>
  );
}

export function OverviewPage() {
  const metrics = useQuery(metricsQuery);
  const caller = useCaller();
  const [range, setRange] = useRange('30d');
  const unused = metrics.data?.total_requests === 0;
  const seesCost = may(caller, 'view_cost');
  return (
    <>
      <PageHeader
        title="Dashboard"
        purpose="What was asked, paid and saved."
        actions={
          <>
            {!unused && <RangePicker range={range} onChange={setRange} options={['24h', '7d', '30d', '90d']} />}
            <Refresh keys={['analytics', 'metrics', 'health', 'cache', 'models']} updatedAt={metrics.dataUpdatedAt} />
          </>
        }
      />
      {unused ? (
        <FirstRequest />
      ) : (
        <>
          <Figures range={range} />
          <div className="mt-4 grid gap-4 lg:grid-cols-2">
            <HitRateCard range={range} />
            {seesCost && <ModelCostCard range={range} />}
          </div>
          {seesCost && <SavingsCard range={range} className="mt-4" />}
          <RecentCard />
        </>
      )}
      <HealthCard />
    </>
  );
}
