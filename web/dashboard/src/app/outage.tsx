/** Says that the gateway is away, and that it is back; then everything is asked again. */
import { Button, useToast } from '@asahi/ui';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Unplug } from 'lucide-react';
import { useEffect, useRef } from 'react';

import { ApiError } from '../api/errors';
import { healthQuery } from '../api/queries';
import { clockTime } from '../lib/format';

export function OutageBanner() {
  const health = useQuery(healthQuery);
  const queries = useQueryClient();
  const notify = useToast();
  const away = health.isError && health.error instanceof ApiError && health.error.status === 0;
  const was = useRef(false);
  useEffect(() => {
    if (was.current && !away && health.isSuccess) {
      notify('ok', 'The gateway is back.');
      void queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'health' });
    }
    was.current = away || (was.current && !health.isSuccess);
  }, [away, health.isSuccess, notify, queries]);
  if (!away) return null;
  return (
    <div role="alert" className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-bad/40 bg-bad-soft px-4 py-2.5 text-sm sm:px-6">
      <Unplug aria-hidden className="size-4 shrink-0 text-bad-text" />
      <p className="min-w-0 flex-1 basis-60 text-ink">
        <span className="font-semibold text-bad-text">The gateway does not answer.</span> What you see is old; what you typed stays. Last asked{' '}
        <span aria-live="off" className="tabular-nums">{clockTime(health.errorUpdatedAt)}</span>, every few seconds again.
      </p>
      <Button className="py-1" busy={health.isFetching} onClick={() => void health.refetch()}>
        Try now
      </Button>
    </div>
  );
}
