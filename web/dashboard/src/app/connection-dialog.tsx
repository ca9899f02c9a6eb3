import { Button, Dialog, Field, Input, useToast } from '@asahi/ui';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { connection, pageBase, setConnection } from '../api/connection';

const badAddress = (text: string): boolean => text.trim() !== '' && !/^https?:\/\/[^/\s]+/.test(text.trim());

function ConnectionForm({ onDone }: { onDone: () => void }) {
  const [base, setBase] = useState(connection().base);
  const [key, setKey] = useState(connection().key);
  const [shown, setShown] = useState(false);
  const queries = useQueryClient();
  const notify = useToast();
  const wrong = badAddress(base);

  const save = (event: FormEvent) => {
    event.preventDefault();
    if (wrong) return;
    setConnection({ base, key });
    void queries.resetQueries();
    notify('ok', key.trim() ? 'Connection saved; the key is sent with every call.' : 'Connection saved, without a key.');
    onDone();
  };

  return (
    <form onSubmit={save} className="mt-5 space-y-4" noValidate>
      <Field label="API key" hint="Kept in this tab until you close it. A gateway without sign-in needs none.">
        {(ids) => (
          <div className="flex gap-2">
            <Input
              {...ids}
              type={shown ? 'text' : 'password'}
              value={key}
              onChange={(event) => setKey(event.target.value)}
              autoComplete="off"
              spellCheck={false}
              placeholder="None"
              className="font-mono"
            />
            <Button onClick={() => setShown(!shown)} aria-pressed={shown}>
              {shown ? 'Hide' : 'Show'}
            </Button>
          </div>
        )}
      </Field>
      <Field
        label="Gateway address"
        hint={wrong ? <span className="text-bad-text">Start with http:// or https:// and a host.</span> : 'Empty: the gateway that served this page.'}
      >
        {(ids) => (
          <Input
            {...ids}
            type="url"
            value={base}
            onChange={(event) => setBase(event.target.value)}
            aria-invalid={wrong || undefined}
            placeholder={pageBase()}
            spellCheck={false}
          />
        )}
      </Field>
      <div className="flex justify-end gap-2 pt-1">
        <Button onClick={() => (setKey(''), setBase(''))} disabled={!key && !base} look="ghost">
          Clear
        </Button>
        <Button type="submit" look="primary">
          Save
        </Button>
      </div>
    </form>
  );
}

export function ConnectionDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Connection"
      description="How this dashboard reaches the gateway."
    >
      <ConnectionForm onDone={() => onOpenChange(false)} />
    </Dialog>
  );
}
