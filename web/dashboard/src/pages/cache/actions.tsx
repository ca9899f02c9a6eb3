import { Button, Dialog, Field, Input, Select, SwitchRow, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Download, Eraser, Trash2 } from 'lucide-react';
import { useState, type FormEvent, type ReactNode } from 'react';

import { call, remove } from '../../api/client';
import { Failure } from '../../app/failure';
import { counted } from '../../lib/format';
import { saveFile } from '../../lib/save-file';

const kExportLimitMs = 120_000;
const entriesWord = (number: number): string => counted(number, 'entry', 'entries');

interface ConfirmProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  description: ReactNode;
  action: string;
  /** The word that has to be typed first; undefined: none. */
  word?: string;
  /** Removes, and resolves to the number removed. */
  run: () => Promise<number>;
}

/** Asks before it removes; stays open with the error when that fails. */
function ConfirmDialog({ open, onOpenChange, title, description, action, word, run }: ConfirmProps) {
  const [typed, setTyped] = useState('');
  const queries = useQueryClient();
  const notify = useToast();
  const removal = useMutation({
    mutationFn: run,
    onSuccess: (removed) => {
      notify('ok', `Removed ${entriesWord(removed)}.`);
      close(false);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['cache'] }),
  });
  const close = (next: boolean) => {
    setTyped('');
    removal.reset();
    onOpenChange(next);
  };
  const blocked = word !== undefined && typed.trim().toLowerCase() !== word;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!blocked && !removal.isPending) removal.mutate();
  };
  return (
    <Dialog open={open} onOpenChange={close} title={title} description={description}>
      <form onSubmit={submit} className="mt-5 space-y-4">
        {word !== undefined && (
          <Field label={`Type “${word}” to confirm`}>
            {(ids) => <Input {...ids} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} />}
          </Field>
        )}
        {removal.isError && <Failure title="Nothing was removed" error={removal.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Keep them</Button>
          <Button type="submit" look="danger" disabled={blocked} busy={removal.isPending}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function ExportDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [format, setFormat] = useState<'json' | 'ndjson'>('json');
  const [withAnswers, setWithAnswers] = useState(false);
  const notify = useToast();
  const download = useMutation({
    mutationFn: async () => {
      const query = { format, include_response: withAnswers };
      const reply = await call('/cache/export', { query, accept: '*/*', timeoutMs: kExportLimitMs });
      saveFile(await reply.blob(), `asahi-cache.${format}`);
    },
    onSuccess: () => {
      notify('ok', `Saved asahi-cache.${format}.`);
      close(false);
    },
  });
  const close = (next: boolean) => {
    download.reset();
    onOpenChange(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!download.isPending) download.mutate();
  };
  return (
    <Dialog open={open} onOpenChange={close} title="Export the cache" description="Saves every entry as one file.">
      <form onSubmit={submit} className="mt-5 space-y-4">
        <Field label="Format">
          {(ids) => (
            <Select {...ids} value={format} onChange={(event) => setFormat(event.target.value as 'json' | 'ndjson')}>
              <option value="json">JSON document</option>
              <option value="ndjson">JSON lines, one entry each</option>
            </Select>
          )}
        </Field>
        <SwitchRow label="With answers" hint="Adds the text of every answer." checked={withAnswers} onChange={setWithAnswers} />
        {download.isError && <Failure title="The export failed" error={download.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Cancel</Button>
          <Button type="submit" look="primary" busy={download.isPending}>
            Export
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Export and removal. `entries`: how many are stored; undefined while unknown. */
export function Actions({ entries }: { entries: number | undefined }) {
  const [asking, setAsking] = useState<'export' | 'expired' | 'all'>();
  const openIf = (what: NonNullable<typeof asking>) => (open: boolean) => setAsking(open ? what : undefined);
  return (
    <>
      <Button onClick={() => setAsking('export')} disabled={entries === 0}>
        <Download aria-hidden className="size-4" />
        Export
      </Button>
      <Button onClick={() => setAsking('expired')}>
        <Eraser aria-hidden className="size-4" />
        Remove expired
      </Button>
      <Button className="text-bad-text" onClick={() => setAsking('all')} disabled={entries === 0}>
        <Trash2 aria-hidden className="size-4" />
        Clear the cache
      </Button>
      <ExportDialog open={asking === 'export'} onOpenChange={openIf('export')} />
      <ConfirmDialog
        open={asking === 'expired'}
        onOpenChange={openIf('expired')}
        title="Remove expired entries?"
        description="They are never served again; this only frees their memory now instead of at the next sweep."
        action="Remove expired"
        run={async () => (await remove('/cache/expired')).total}
      />
      <ConfirmDialog
        open={asking === 'all'}
        onOpenChange={openIf('all')}
        title="Clear the cache?"
        description={`${entries === undefined ? 'All entries' : entriesWord(entries)} will be removed for good. The same requests will be paid again.`}
        action="Clear the cache"
        word="clear"
        run={async () => (await remove('/cache/clear')).total}
      />
    </>
  );
}
