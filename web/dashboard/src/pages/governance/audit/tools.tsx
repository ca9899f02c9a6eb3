import { Badge, Button, Card, ErrorState, useToast } from '@asahi/ui';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Download, ShieldCheck } from 'lucide-react';

import { call, readJson, type Schemas } from '../../../api/client';
import type { AuditFilter } from '../../../api/queries';
import { Failure } from '../../../app/failure';
import { clockTime, counted } from '../../../lib/format';
import { saveFile } from '../../../lib/save-file';

const kLongMs = 120_000;

/** Downloads what the filter lets through. A link would not carry the key of this tab. */
export function Export({ filter }: { filter: AuditFilter }) {
  const notify = useToast();
  const download = useMutation({
    mutationFn: async (format: 'json' | 'csv') => {
      const reply = await call('/governance/audit/export', { query: { ...filter, format }, accept: '*/*', timeoutMs: kLongMs });
      saveFile(await reply.blob(), `asahi-audit.${format}`);
      return format;
    },
    onSuccess: (format) => notify('ok', `Saved asahi-audit.${format}.`),
    onError: (error) => notify('bad', `The export failed: ${error.message}`),
  });
  return (
    <>
      {(['csv', 'json'] as const).map((format) => (
        <Button key={format} busy={download.isPending && download.variables === format} onClick={() => download.mutate(format)}>
          <Download aria-hidden className="size-4" />
          Export {format.toUpperCase()}
        </Button>
      ))}
    </>
  );
}

/** The chain of hashes, followed by the gateway when the page opens and when asked. */
export function ChainBadge() {
  const check = useQuery({
    queryKey: ['audit-chain'],
    queryFn: async ({ signal }) =>
      (await readJson(await call('/governance/audit/verify', { timeoutMs: kLongMs, signal }))) as Schemas['AuditVerification'],
    staleTime: 60_000,
    refetchOnWindowFocus: false,
  });
  const { data } = check;
  return (
    <Card className="space-y-4 py-3 sm:py-4">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <div role="status" className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-1 text-sm">
          {check.isFetching ? (
            <>
              <Badge>checking the chain</Badge>
              <span className="text-ink-3">from the first entry to the last</span>
            </>
          ) : data?.valid ? (
            <>
              <Badge tone="ok" dot>
                chain whole
              </Badge>
              <span className="text-ink-2">
                {counted(data.checked, 'entry', 'entries')} checked at {clockTime(check.dataUpdatedAt)}
              </span>
            </>
          ) : (
            <Badge tone={data ? 'bad' : 'warn'} dot>
              {data ? 'chain broken' : 'not checked'}
            </Badge>
          )}
        </div>
        <Button busy={check.isFetching} onClick={() => void check.refetch()}>
          <ShieldCheck aria-hidden className="size-4" />
          Verify
        </Button>
      </div>
      {data && !data.valid && (
        <ErrorState
          title="The chain is broken"
          cause={data.problem ?? 'An entry does not fit the one before it.'}
          hint={`${counted(data.checked, 'entry', 'entries')} checked${data.first_bad_entry ? `; the first bad one is ${data.first_bad_entry}` : ''}.`}
        />
      )}
      {check.isError && !check.isFetching && <Failure title="The chain could not be checked" error={check.error} onRetry={() => void check.refetch()} />}
    </Card>
  );
}
