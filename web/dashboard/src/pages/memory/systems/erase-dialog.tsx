import { Button, Dialog, Field, Input, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { eraseSystem } from '../../../api/client';
import { Failure } from '../../../app/failure';
import { counted } from '../../../lib/format';

interface EraseDialogProps {
  id: string;
  memories: number;
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onGone: () => void;
}

/** Wants the name typed before everything of a system goes. */
export function EraseDialog({ id, memories, open, onOpenChange, onGone }: EraseDialogProps) {
  const [typed, setTyped] = useState('');
  const queries = useQueryClient();
  const notify = useToast();
  const erasing = useMutation({
    mutationFn: () => eraseSystem(id),
    onSuccess: ({ deleted }) => {
      notify('ok', `Erased ${id}: ${counted(deleted, 'memory', 'memories')}.`);
      close(false);
      onGone();
      void queries.invalidateQueries({ queryKey: ['memory'] });
    },
  });
  const close = (next: boolean) => {
    setTyped('');
    erasing.reset();
    onOpenChange(next);
  };
  const named = typed.trim() === id;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (named && !erasing.isPending) erasing.mutate();
  };
  return (
    <Dialog
      open={open}
      onOpenChange={close}
      title={`Erase ${id}?`}
      description={`Its ${counted(memories, 'memory goes', 'memories go')} from every tier at once, with the facts that only it states. Cold files keep the bytes, unread, until ageing rewrites them. It cannot be undone.`}
    >
      <form onSubmit={submit} className="mt-5 space-y-4">
        <Field label={`Type “${id}” to confirm`}>
          {(ids) => <Input {...ids} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} />}
        </Field>
        {erasing.isError && <Failure title="It was not erased" error={erasing.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Keep it</Button>
          <Button type="submit" look="danger" disabled={!named} busy={erasing.isPending}>
            Erase it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
