import { Button, Notice, Stat, useToast } from '@asahi/ui';
import { useMutation, useQuery } from '@tanstack/react-query';
import { CircleCheck, Hourglass, Loader, Skull } from 'lucide-react';

import { post } from '../../../api/client';
import { ingestionQuery } from '../../../api/memory';
import { may, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { count, dateTime } from '../../../lib/format';

/** What ingestion is doing, in four figures. */
export function IngestionCards() {
  const status = useQuery(ingestionQuery);
  const { data } = status;
  const of = (state: keyof NonNullable<typeof data>['uploads']) => data && count(data.uploads[state] ?? 0);
  if (status.isError && !data) return <Failure title="The state of ingestion could not be asked" error={status.error} onRetry={() => void status.refetch()} retrying={status.isFetching} />;
  return (
    <>
      <div className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4">
        <Stat label="Waiting" icon={Hourglass} value={data && count(data.queue_size)} note={data && (data.last_scan ? `looked ${dateTime(data.last_scan)}` : data.bucket ? 'not looked yet' : 'pushes wait nowhere')} />
        <Stat label="In work" icon={Loader} value={data && count(data.in_work)} note={data && (data.workers === undefined ? 'no workers here' : `${count(data.workers)} by this process`)} />
        <Stat label="Done" icon={CircleCheck} value={of('done')} note={data && `${count(data.uploads.partial ?? 0)} in part`} />
        <Stat label="Dead" icon={Skull} value={of('failed')} note={data && `${count(data.uploads.rejected ?? 0)} rejected`} />
      </div>
      {data?.paused && (
        <div className="mt-4">
          <Notice tone="warn">
            <span className="font-semibold">Ingestion waits:</span> {data.paused}
          </Notice>
        </div>
      )}
    </>
  );
}

/** Looks into the bucket at once, where there is one. */
export function LookNow() {
  const { data } = useQuery(ingestionQuery);
  const caller = useCaller();
  const notify = useToast();
  const look = useMutation({
    mutationFn: () => post('/memory/ingestion/trigger', { priority: 'normal' }),
    onSuccess: () => notify('ok', 'The bucket is looked through now.'),
    onError: (error) => notify('bad', `Not looked: ${error.message}`),
  });
  if (!data?.bucket || !may(caller, 'ingest:upload')) return null;
  return (
    <Button onClick={() => look.mutate()} busy={look.isPending}>
      Look into the bucket
    </Button>
  );
}
