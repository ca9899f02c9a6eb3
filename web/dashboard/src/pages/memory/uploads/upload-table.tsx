import { Badge, Button, CopyButton, cx, Table, Td, Th, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { ChevronRight } from 'lucide-react';
import { Fragment, useState } from 'react';

import { retryUpload } from '../../../api/client';
import type { Upload } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { bytes, clockTime, count, dateTime, duration } from '../../../lib/format';
import { uploadTones } from '../upload-tones';
import { wayOf, worthAnotherTry } from './ledger';

const kMoment = 2_000;

const ago = (iso: string, now: number): string => (now - Date.parse(iso) < kMoment ? 'now' : `${duration((now - Date.parse(iso)) / 1000).split(' ').slice(0, 2).join(' ')} ago`);

/** Its states with their times and, where it went wrong, which rule was broken and what to do. */
function Details({ upload, canRetry }: { upload: Upload; canRetry: boolean }) {
  const queries = useQueryClient();
  const notify = useToast();
  const retry = useMutation({
    mutationFn: () => retryUpload(upload),
    onSuccess: () => {
      notify('ok', 'It is taken in again.');
      void queries.invalidateQueries({ queryKey: ['memory'] });
    },
  });
  const { counts, bad_items: bad } = upload;
  const rest: [string, number | undefined][] = [
    ['replaced', counts.replaced],
    ['unchanged', counts.unchanged],
    ['older than what is there', counts.older],
    ['empty, skipped', counts.skipped],
  ];
  const said = rest.filter(([, number]) => number).map(([name, number]) => `${count(number ?? 0)} ${name}`);
  return (
    <div className="space-y-3 text-sm whitespace-normal">
      {upload.error && <p className="max-w-3xl break-words text-bad-text">{upload.error}</p>}
      <ol aria-label="States" className="flex flex-wrap gap-x-2 gap-y-1 text-ink-2 tabular-nums">
        {wayOf(upload).map(({ state, at }, index) => (
          <li key={state}>
            {index > 0 && <span aria-hidden>→ </span>}
            {state} <time dateTime={at}>{clockTime(Date.parse(at))}</time>
          </li>
        ))}
      </ol>
      {said.length > 0 && <p className="text-ink-2 tabular-nums">Also {said.join(', ')}.</p>}
      {bad.length > 0 && (
        <ul aria-label="Left out" className="max-w-3xl space-y-1">
          {bad.map(({ index, reason, field, expected }) => (
            <li key={`${index} ${field ?? ''}`} className="break-words text-ink">
              <span className="font-medium tabular-nums">Memory {index}</span>: {reason.replaceAll('_', ' ')}
              {field && <code className="ml-1.5 rounded bg-panel px-1.5 py-0.5 font-mono text-xs">{field}</code>}
              {expected && <span className="text-ink-2"> – {expected}</span>}
            </li>
          ))}
          {(counts.errors ?? 0) > bad.length && <li className="text-ink-3">and {count((counts.errors ?? 0) - bad.length)} more</li>}
        </ul>
      )}
      {retry.isError && <Failure title="It was not taken in again" error={retry.error} />}
      <div className="flex flex-wrap items-center gap-2">
        {worthAnotherTry(upload) &&
          (upload.origin === 'bucket' ? (
            canRetry && (
              <Button onClick={() => retry.mutate()} busy={retry.isPending} aria-label={`Try again: ${upload.upload_id}`}>
                Try again
              </Button>
            )
          ) : (
            <p className="text-ink-2">It was pushed: its sender has it, and has to send it again.</p>
          ))}
        {upload.state === 'rejected' && <p className="text-ink-2">As it is it would be rejected again: mend it, and send it under a new id.</p>}
        <CopyButton look="ghost" className="px-2.5 py-1.5" text={upload.upload_id} label="Copy id" />
      </div>
    </div>
  );
}

interface UploadTableProps {
  uploads: readonly Upload[];
  canRetry: boolean;
  now: number;
}

/** A row opens in place. On a phone the counts stand in the row's details' place: under its name. */
export function UploadTable({ uploads, canRetry, now }: UploadTableProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (key: string) => {
    const next = new Set(open);
    if (!next.delete(key)) next.add(key);
    setOpen(next);
  };
  const number = (value: number | undefined, upload: Upload) => (upload.state === 'rejected' || value === undefined ? '–' : count(value));
  return (
    <Table label="Uploads">
      <thead>
        <tr>
          <Th>
            <span className="sr-only">Details</span>
          </Th>
          <Th>Upload</Th>
          <Th>System</Th>
          <Th>State</Th>
          <Th numeric>New</Th>
          <Th numeric>Duplicate</Th>
          <Th numeric>Near</Th>
          <Th numeric>Errors</Th>
          <Th numeric>Size</Th>
          <Th numeric>Tries</Th>
          <Th>When</Th>
        </tr>
      </thead>
      <tbody>
        {uploads.map((upload) => {
          const { counts } = upload;
          const key = `${upload.system_id}/${upload.upload_id}`;
          const shown = open.has(key);
          const id = `upload-${key}`;
          return (
            <Fragment key={key}>
              <tr className="hover:bg-sunken/60">
                <Td className="w-px pr-0">
                  <button
                    type="button"
                    aria-expanded={shown}
                    aria-controls={shown ? id : undefined}
                    aria-label={`Details of ${upload.upload_id}, ${upload.system_id}`}
                    onClick={() => toggle(key)}
                    className="grid size-7 place-items-center rounded text-ink-3 hover:bg-line hover:text-ink"
                  >
                    <ChevronRight aria-hidden className={cx('size-4 transition-transform duration-200', shown && 'rotate-90')} />
                  </button>
                </Td>
                <Td className="max-w-56 min-w-32 truncate font-mono text-[13px]" title={upload.upload_id}>
                  {upload.upload_id}
                </Td>
                <Td className="max-w-40 truncate text-ink-2" title={upload.system_id}>
                  {upload.system_id}
                </Td>
                <Td>
                  <Badge tone={uploadTones[upload.state]} dot>
                    {upload.state}
                  </Badge>
                </Td>
                <Td numeric>{number(counts.stored, upload)}</Td>
                <Td numeric>{number(counts.duplicates, upload)}</Td>
                <Td numeric>{number(counts.near_duplicates, upload)}</Td>
                <Td numeric className={counts.errors ? 'text-bad-text' : ''}>
                  {number(counts.errors, upload)}
                </Td>
                <Td numeric>{bytes(counts.bytes ?? 0)}</Td>
                <Td numeric>{upload.attempts}</Td>
                <Td className="whitespace-nowrap text-ink-2 tabular-nums" title={dateTime(upload.updated_at)}>
                  {ago(upload.updated_at, now)}
                </Td>
              </tr>
              {shown && (
                <tr id={id}>
                  <Td colSpan={11} className="bg-sunken/60">
                    {/* As wide as the screen, where the table is wider. */}
                    <div className="sticky left-4 max-w-[calc(100vw-4.5rem)]">
                      <Details upload={upload} canRetry={canRetry} />
                    </div>
                  </Td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </Table>
  );
}
