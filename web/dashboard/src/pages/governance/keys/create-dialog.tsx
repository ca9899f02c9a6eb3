import { Button, CheckList, Dialog, Field, Input, SwitchRow } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { post, type Schemas } from '../../../api/client';
import { useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { grantable, kEmptyForm, kScopes, newKeyOf, type KeyFaults, type KeyForm } from './key-form';

interface CreateDialogProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** Gets the key, which is shown only now. */
  onIssued: (key: Schemas['IssuedApiKey']) => void;
}

export function CreateDialog({ open, onOpenChange, onIssued }: CreateDialogProps) {
  const [form, setForm] = useState<KeyForm>(kEmptyForm);
  const [faults, setFaults] = useState<KeyFaults>({});
  const caller = useCaller();
  const queries = useQueryClient();
  const creation = useMutation({
    mutationFn: (body: Schemas['NewApiKey']) => post('/governance/api-keys', body),
    onSuccess: (issued) => {
      close(false);
      onIssued(issued);
      return queries.invalidateQueries({ queryKey: ['keys'] });
    },
  });
  const close = (next: boolean) => {
    setForm(kEmptyForm);
    setFaults({});
    creation.reset();
    onOpenChange(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = newKeyOf(form);
    setFaults('faults' in wanted ? wanted.faults : {});
    if ('body' in wanted && !creation.isPending) creation.mutate(wanted.body);
  };
  const text = (name: Exclude<keyof KeyForm, 'scopes' | 'similar'>, label: string, hint: string, more: Parameters<typeof Input>[0] = {}) => (
    <Field label={label} hint={faults[name] ? <span className="text-bad-text">{faults[name]}</span> : hint}>
      {(ids) => (
        <Input
          {...ids}
          {...more}
          value={form[name]}
          aria-invalid={faults[name] ? true : undefined}
          onChange={(event) => setForm({ ...form, [name]: event.target.value })}
          autoComplete="off"
          spellCheck={false}
        />
      )}
    </Field>
  );
  return (
    <Dialog open={open} onOpenChange={close} firm title="Create an API key" description="For a program or a person; each should have its own.">
      <form onSubmit={submit} className="mt-5 space-y-4" noValidate>
        {text('name', 'Name', 'What it is for.', { maxLength: 255 })}
        <CheckList
          legend="Scopes"
          values={form.scopes}
          options={kScopes.map((scope) => ({ ...scope, disabled: !grantable(caller, scope) }))}
          onChange={(scopes) => setForm({ ...form, scopes })}
          hint={faults.scopes && <span className="text-bad-text">{faults.scopes}</span>}
        />
        {text('models', 'Models', 'Names, aliases or prefixes with a final *, separated by commas. Empty: all.', { placeholder: 'gpt-4o-mini, claude-*' })}
        {text('days', 'Expires in days', 'Up to 3650.', { inputMode: 'numeric' })}
        <div className="grid gap-4 sm:grid-cols-2">
          {text('requests', 'Requests per minute', 'Empty: as the policy says.', { inputMode: 'numeric' })}
          {text('tokens', 'Tokens per minute', 'Empty: as the policy says.', { inputMode: 'numeric' })}
        </div>
        <SwitchRow
          label="Answers of like questions"
          hint="The cache may answer with what was said to a question that means the same."
          checked={form.similar}
          onChange={(similar) => setForm({ ...form, similar })}
        />
        {text('user', 'User', 'Whose use it is in the audit log. Empty: you.', { maxLength: 255 })}
        {creation.isError && <Failure title="No key was made" error={creation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Cancel</Button>
          <Button type="submit" look="primary" busy={creation.isPending}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
