import { Button, Dialog, Field, Input, Select, SwitchRow, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { backendQuery, beginMove } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { count } from '../../../lib/format';
import { kMostDays, kNewMove, moveRequest, wrongDays, type MoveForm } from './move';

/** Asks where the hot tier is to go; the new backend is opened and probed before anything begins. */
export function MoveDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const [form, setForm] = useState(kNewMove);
  const notify = useToast();
  const queries = useQueryClient();
  const begin = useMutation({
    mutationFn: () => beginMove(moveRequest(form)),
    onSuccess: (status) => {
      queries.setQueryData(backendQuery.queryKey, status);
      notify('ok', 'The move has begun.');
      close(false);
    },
  });
  const close = (next: boolean) => {
    setForm(kNewMove);
    begin.reset();
    onOpenChange(next);
  };
  const set = (change: Partial<MoveForm>) => {
    begin.reset();
    setForm({ ...form, ...change });
  };
  const sql = form.backend === 'pgvector';
  const wrong = wrongDays(form);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!wrong && !begin.isPending) begin.mutate();
  };
  return (
    <Dialog
      open={open}
      onOpenChange={close}
      title="Move the hot tier?"
      description="It is copied while it is used, each memory read back and compared; then searches read the new backend, and both are written until the window ends. Until then it can be taken back."
    >
      <form onSubmit={submit} className="mt-5 space-y-4">
        <Field label="To">
          {(ids) => (
            <Select {...ids} value={form.backend} onChange={(event) => set({ backend: event.target.value as MoveForm['backend'], place: '' })}>
              <option value="pgvector">PostgreSQL with pgvector</option>
              <option value="duckdb-ssd">Own log in a folder</option>
            </Select>
          )}
        </Field>
        {sql && (
          <Field label="Its address is in" hint="An address itself is never typed here.">
            {(ids) => (
              <Select {...ids} value={form.holder} onChange={(event) => set({ holder: event.target.value as MoveForm['holder'] })}>
                <option value="pg_url_file">a file on the server</option>
                <option value="pg_url_env">a variable of its environment</option>
              </Select>
            )}
          </Field>
        )}
        <Field label={!sql ? 'Folder' : form.holder === 'pg_url_file' ? 'File' : 'Variable'} hint={`Empty: memory.hot.${sql ? 'pg_url' : 'path'}.`}>
          {(ids) => <Input {...ids} value={form.place} maxLength={1024} autoComplete="off" spellCheck={false} onChange={(event) => set({ place: event.target.value })} />}
        </Field>
        <Field label="Window in days" hint={wrong ? <span className="text-bad-text">A whole number from 0 to {count(kMostDays)}, or empty.</span> : 'Empty: as configured. 0: none; it ends as soon as all is copied.'}>
          {(ids) => <Input {...ids} inputMode="numeric" autoComplete="off" aria-invalid={wrong} value={form.days} onChange={(event) => set({ days: event.target.value })} />}
        </Field>
        <SwitchRow label="Replace what is there" hint="What the new backend holds and the present one does not have is erased there." checked={form.replace} onChange={(replace) => set({ replace })} />
        {begin.isError && <Failure title="Nothing was begun" error={begin.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Not now</Button>
          <Button type="submit" look="primary" disabled={wrong} busy={begin.isPending}>
            Begin
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
