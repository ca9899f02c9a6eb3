import { Button, ErrorState, SectionCard, useToast } from '@asahi/ui';
import { useMutation } from '@tanstack/react-query';
import { CircleCheck, Download, ShieldCheck } from 'lucide-react';

import { call, readJson, type Schemas } from '../../api/client';
import type { AuditFilter } from '../../api/queries';
import { Failure } from '../../app/failure';
import { clockTime, count } from '../../lib/format';
import { saveFile } from '../../lib/save-file';

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

/** Has the gateway follow the chain of hashes, and says what came of it. */
export function Verify() {
  const check = useMutation({
    mutationFn: async () =>
      (await readJson(await call('/governance/audit/verify', { timeoutMs: kLongMs }))) as Schemas['AuditVerification'],
  });
  const { data } = check;
  return (
    <SectionCard
      title="Integrity"
      note="Follows the chain from the first entry to the last."
      actions={
        <Button busy={check.isPending} onClick={() => check.mutate()}>
          <ShieldCheck aria-hidden className="size-4" />
          Verify
        </Button>
      }
    >
      <div role="status" className="text-sm">
        {check.isPending ? (
          <p className="text-ink-3">Checking every entry</p>
        ) : data?.valid ? (
          <p className="flex items-center gap-2 font-medium text-ok-text">
            <CircleCheck aria-hidden className="size-4" />
            The chain is whole: {count(data.checked)} {data.checked === 1 ? 'entry' : 'entries'} checked at {clockTime(check.submittedAt)}.
          </p>
        ) : (
          !data && !check.isError && <p className="text-ink-3">Not checked since this page was opened.</p>
        )}
      </div>
      {data && !data.valid && (
        <ErrorState
          title="The chain is broken"
          cause={data.problem ?? 'An entry does not fit the one before it.'}
          hint={`${count(data.checked)} entries checked${data.first_bad_entry ? `; the first bad one is ${data.first_bad_entry}` : ''}.`}
        />
      )}
      {check.isError && <Failure title="The chain could not be checked" error={check.error} />}
    </SectionCard>
  );
}
