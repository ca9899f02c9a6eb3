import { Skeleton } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Database } from 'lucide-react';

import { storageQuery } from '../../../api/memory';
import { may, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { FirstMemory } from '../first-memory';
import { Ageing } from './ageing';
import { Backend } from './backend';
import { kTiers, TierCards } from './tier-cards';

/** A backend has the memories of all organisations, so a credential of some systems does not do. */
const operates = (caller: Parameters<typeof may>[0]): boolean => may(caller, 'system:migrate') && may(caller, 'manage_tenants') && !Array.isArray(caller?.systems);

/** Where memories stand, and how they go on. */
export function TiersPage() {
  const caller = useCaller();
  const storage = useQuery(storageQuery);
  const { data, isError, error, refetch, isFetching } = storage;
  const empty = data && Object.values(data).every(({ health, records }) => health === 'healthy' && !records);
  return (
    <>
      <PageHeader title="Tiers" purpose="Where memories stand: the older they are, the less room they take." actions={<Refresh keys={['memory']} updatedAt={storage.dataUpdatedAt} />} />
      {isError && (
        <div className="mb-4">
          <Failure title={data ? 'The tiers could not be asked again' : 'The tiers could not be asked'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
        </div>
      )}
      {data ? (
        <TierCards tiers={data} onRetry={() => void refetch()} retrying={isFetching} />
      ) : (
        !isError && (
          <div role="status" aria-label="Loading" className="grid gap-2 lg:grid-cols-3">
            {kTiers.map(({ name }) => (
              <Skeleton key={name} className="h-56 rounded-lg" />
            ))}
          </div>
        )
      )}
      {empty && (
        <div className="mt-4">
          <FirstMemory icon={Database} title="No tier has anything yet">
            The hot tier begins to fill with the first memory that is sent.
          </FirstMemory>
        </div>
      )}
      {may(caller, 'system:migrate') && <Ageing />}
      {operates(caller) && <Backend />}
    </>
  );
}
