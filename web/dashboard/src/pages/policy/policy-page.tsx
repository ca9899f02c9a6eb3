import { useQuery } from '@tanstack/react-query';

import { policyQuery } from '../../api/queries';
import { may, useCaller } from '../../app/access';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { PolicyCard } from './policy-card';
import { UsageCard } from './usage-card';

export function PolicyPage() {
  const policy = useQuery(policyQuery);
  const caller = useCaller();
  return (
    <>
      <PageHeader
        title="Policy"
        purpose="What the organisation's calls may use and cost."
        actions={<Refresh keys={['policy', 'usage']} updatedAt={policy.dataUpdatedAt} />}
      />
      {may(caller, 'view_cost') && <UsageCard />}
      <PolicyCard />
    </>
  );
}
