import { useQuery } from '@tanstack/react-query';

import { policyQuery } from '../../../api/queries';
import { may, useCaller } from '../../../app/access';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { PolicyCard } from './policy-card';
import { UsageCard } from './usage-card';

export function PoliciesPage() {
  const policy = useQuery(policyQuery);
  const caller = useCaller();
  return (
    <>
      <PageHeader
        title="Policies"
        purpose="What the organisation's calls may use and cost, and how much of it is used."
        actions={<Refresh keys={['policy', 'usage', 'budget-forecast']} updatedAt={policy.dataUpdatedAt} />}
      />
      {may(caller, 'view_cost') && <UsageCard />}
      <PolicyCard />
    </>
  );
}
