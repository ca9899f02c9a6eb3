import { useQuery } from '@tanstack/react-query';

import { anomaliesQuery } from '../../api/queries';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { AnomaliesCard } from './anomalies';
import { FiredCard } from './fired';
import { RecommendationsCard } from './recommendations';

export function AlertsPage() {
  const anomalies = useQuery(anomaliesQuery);
  return (
    <>
      <PageHeader
        title="Alerts"
        purpose="What is unusual now, what would save money, and what was told to whom."
        actions={<Refresh keys={['anomalies', 'recommendations', 'alerts']} updatedAt={anomalies.dataUpdatedAt} />}
      />
      <AnomaliesCard />
      <RecommendationsCard />
      <FiredCard />
    </>
  );
}
