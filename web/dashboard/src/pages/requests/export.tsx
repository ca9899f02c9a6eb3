import { Button, Choices, Dialog, Notice, useToast } from '@asahi/ui';
import { useMutation } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { useRef, useState } from 'react';

import type { RequestFilter } from '../../api/analytics';
import { call, get, transportError, type Schemas } from '../../api/client';
import { may, useCaller } from '../../app/access';
import { Failure } from '../../app/failure';
import { headOf, linesOf, type FileFormat } from '../../lib/event-file';
import { count, counted } from '../../lib/format';
import { saveFile } from '../../lib/save-file';

/** Where words are searched, the pages of the list are put together here; the gateway's own export knows no words. */
const kMost = 50_000;
const kPage = 200;

const kTypes: Record<FileFormat, string> = { csv: 'text/csv', ndjson: 'application/x-ndjson' };

interface Collected {
  parts: BlobPart[];
  rows: number;
}

interface Wanted {
  filter: RequestFilter;
  format: FileFormat;
  signal: AbortSignal;
  onProgress: (rows: number) => void;
}

/** The list, newest first, page by page. Ends with the AbortError of `signal`. */
async function fromList({ filter, format, signal, onProgress }: Wanted): Promise<Collected> {
  const parts = [headOf(format)];
  let rows = 0;
  let cursor: string | null = '';
  while (cursor !== null && rows < kMost) {
    const page: Schemas['EventListReply'] = await get('/analytics/requests', { query: { ...filter, limit: kPage, cursor: cursor || undefined }, signal });
    parts.push(linesOf(page.data, format));
    rows += page.data.length;
    onProgress(rows);
    cursor = page.data.length > 0 ? page.next_cursor : null;
  }
  return { parts, rows };
}

const kNewline = 10;

/** The gateway's stream, oldest first, however long. One that breaks off is a failure, never a short file. */
async function fromGateway({ filter, format, signal, onProgress }: Wanted): Promise<Collected> {
  const { q: _, ...known } = filter;
  const reply = await call('/analytics/export', { query: { ...known, format }, accept: '*/*', signal });
  const parts: BlobPart[] = [];
  // The head of the table is no request.
  let rows = format === 'csv' ? -1 : 0;
  try {
    const reader = reply.body?.getReader();
    for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
      parts.push(piece.value);
      for (const byte of piece.value) if (byte === kNewline) rows += 1;
      onProgress(Math.max(0, rows));
    }
  } catch (error) {
    throw transportError(error, true);
  }
  return { parts, rows: Math.max(0, rows) };
}

export function ExportButton({ filter, disabled }: { filter: RequestFilter; disabled: boolean }) {
  const [open, setOpen] = useState(false);
  const [format, setFormat] = useState<FileFormat>('csv');
  const [rows, setRows] = useState(0);
  const stop = useRef<AbortController>(undefined);
  const notify = useToast();
  const caller = useCaller();
  const listed = Boolean(filter.q) || !may(caller, 'view_cost');
  const download = useMutation({
    mutationFn: () => {
      setRows(0);
      stop.current = new AbortController();
      const wanted = { filter, format, signal: stop.current.signal, onProgress: setRows };
      return listed ? fromList(wanted) : fromGateway(wanted);
    },
    onSuccess: ({ parts, rows: all }) => {
      saveFile(new Blob(parts, { type: kTypes[format] }), `asahi-requests.${format}`);
      notify('ok', `Saved ${counted(all, 'request')} as asahi-requests.${format}.`);
      setOpen(false);
    },
  });
  const change = (next: boolean) => {
    if (!next) stop.current?.abort();
    download.reset();
    setOpen(next);
  };
  const failed = download.isError && !(download.error instanceof DOMException && download.error.name === 'AbortError');
  return (
    <>
      <Button onClick={() => setOpen(true)} disabled={disabled}>
        <Download aria-hidden className="size-4" />
        Export
      </Button>
      <Dialog open={open} onOpenChange={change} title="Export requests" description={`Saves what the filter finds, ${listed ? 'newest' : 'oldest'} first, as one file.`}>
        <form
          className="mt-5 space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (!download.isPending) download.mutate();
          }}
        >
          <Choices
            legend="Format"
            value={format}
            options={[
              { value: 'csv', label: 'CSV' },
              { value: 'ndjson', label: 'NDJSON' },
            ]}
            onChange={setFormat}
            hint={format === 'csv' ? 'A table for spreadsheets.' : 'One JSON object per line, with every field.'}
          />
          {listed && <Notice tone="info">At most {count(kMost)} requests. For more, narrow the time and export piece by piece, or leave out the words.</Notice>}
          {download.isPending && (
            <div>
              <div role="progressbar" aria-label="Export" aria-valuetext={counted(rows, 'request')} className="h-2 overflow-hidden rounded-full bg-sunken">
                <span className="block h-full w-1/3 animate-[sweep_1.2s_ease-in-out_infinite] rounded-full bg-accent" />
              </div>
              <p className="mt-1.5 text-xs text-ink-3 tabular-nums">{counted(rows, 'request')}</p>
            </div>
          )}
          {failed && <Failure title="The export failed" error={download.error} />}
          <div className="flex justify-end gap-2">
            <Button onClick={() => change(false)}>Cancel</Button>
            <Button type="submit" look="primary" busy={download.isPending}>
              Export
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}
