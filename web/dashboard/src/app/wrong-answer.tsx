import { Button } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { reportCacheEntry } from '../api/client';
import { Failure } from './failure';

/** A wrong answer must not be served twice. */
export function WrongAnswer({ entryId }: { entryId: string }) {
  const queries = useQueryClient();
  const report = useMutation({
    mutationFn: () => reportCacheEntry(entryId),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['cache'] }),
  });
  if (report.isSuccess) return <span role="status">Reported: this stored answer serves nobody any more.</span>;
  return (
    <>
      <Button size="sm" onClick={() => report.mutate()} busy={report.isPending}>
        Wrong answer
      </Button>
      {report.isError && (
        <div className="mt-2">
          <Failure title="It could not be reported" error={report.error} />
        </div>
      )}
    </>
  );
}
