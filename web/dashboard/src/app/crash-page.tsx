import { ErrorState } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import type { ErrorComponentProps } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import { healthQuery } from '../api/queries';
import { PageAway } from './page-file';
import { PageHeader } from './page-header';

/** The page comes with the gateway. */
function AwayPage({ error }: { error: PageAway }) {
  const health = useQuery(healthQuery);
  const [since] = useState(Date.now);
  const back = health.isSuccess && health.dataUpdatedAt > since;
  useEffect(() => {
    // Browsers do not ask again for a file that failed, unless the document is loaded anew.
    if (back) window.location.reload();
  }, [back]);
  return (
    <>
      <PageHeader title="Page not loaded" purpose="It opens by itself as soon as the gateway answers." />
      <ErrorState title="This page could not be loaded" cause={error.message} hint="Pages that were open before still work." onRetry={() => void health.refetch()} retrying={health.isFetching} />
    </>
  );
}

/** A page that failed to draw; the frame around it goes on working. */
export function CrashPage({ error, reset }: ErrorComponentProps) {
  if (error instanceof PageAway) return <AwayPage error={error} />;
  return (
    <div className="py-6">
      <ErrorState
        title="This page failed to draw"
        cause={error instanceof Error ? error.message : String(error)}
        hint="The other pages still work."
        onRetry={reset}
      />
    </div>
  );
}
