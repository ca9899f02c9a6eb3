import { Button, Choices, Dialog, Notice, useToast } from '@asahi/ui';
import { useMutation } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { useRef, useState } from 'react';

import type { RequestFilter } from '../../api/analytics';
import { get } from '../../api/client';
import { Failure } from '../../app/failure';
import { headOf, linesOf, type FileFormat } from '../../lib/event-file';
import { count } from '../../lib/format';
import { saveFile } from '../../lib/save-file';

/** The file is put together in the browser; more than this belongs to the gateway's own export. */
const kMost = 50_000;
const kPage = 200;

const kTypes: Record<FileFormat, string> = { csv: 'text/csv', ndjson: 'application/x-ndjson' };

/** What the filter finds, newest first, page by page. Ends with the AbortError of `signal`. */
async function collect(filter: RequestFilter, format: FileFormat, signal: AbortSignal, onProgress: (rows: number) => void): Promise<{ parts: string[]; rows: number }> {
  const parts = [headOf(format)];
  let rows = 0;
  let cursor: string | null = '';
  while (cursor !== null && rows < kMost) {
    const page: Awaited<ReturnType<typeof get<'/analytics/requests'>>> = await get('/analytics/requests', { query: { ...filter, limit: kPage, cursor: cursor || undefined }, signal });
    parts.push(linesOf(page.data, format));
    rows += page.data.length;
    onProgress(rows);
    cursor = page.data.length > 0 ? page.next_cursor : null;
  }
  return { parts, rows };
}

export function ExportButton({ filter, disabled }: { filter: RequestFilter; disabled: boolean }) {
  const [open, setOpen] = useState(false);
  const [format, setFormat] = useState<FileFormat>('csv');
  const [rows, setRows] = useState(0);
  const stop = useRef<AbortController>(undefined);
  const notify = useToast();
  const download = useMutation({
    mutationFn: () => {
      setRows(0);
      stop.current = new AbortController();
      return collect(filter, format, stop.current.signal, setRows);
    },
    onSuccess: ({ parts, rows: all }) => {
      saveFile(new Blob(parts, { type: kTypes[format] }), `asahi-requests.${format}`);
      notify('ok', `Saved ${count(all)} requests as asahi-requests.${format}.`);
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
      <Dialog open={open} onOpenChange={change} title="Export requests" description="Saves what the filter finds, newest first, as one file.">
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
          <Notice tone="info">At most {count(kMost)} requests. For more, narrow the time and export piece by piece.</Notice>
          {download.isPending && (
            <div>
              <div role="progressbar" aria-label="Export" aria-valuetext={`${count(rows)} requests`} className="h-2 overflow-hidden rounded-full bg-sunken">
                <span className="block h-full w-1/3 animate-[sweep_1.2s_ease-in-out_infinite] rounded-full bg-accent" />
              </div>
              <p className="mt-1.5 text-xs text-ink-3 tabular-nums">{count(rows)} requests</p>
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
