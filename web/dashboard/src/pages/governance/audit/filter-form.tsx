import { Button, Field, Input } from '@asahi/ui';
import { useId, useState, type FormEvent } from 'react';

import type { AuditFilter } from '../../../api/queries';
import { instantOf } from '../../../lib/forms';

const kEmpty = { action: '', user: '', from: '', to: '' };
/** Offered besides those on the page; the log knows more. */
const kActions = ['api_key.create', 'api_key.revoke', 'api_key.rotate', 'auth.login', 'auth.logout', 'auth_failure', 'policy.update', 'user.create'];

/** Narrows the entries down. `actions`: those seen, as suggestions. */
export function FilterForm({ onChange, actions }: { onChange: (filter: AuditFilter) => void; actions: readonly string[] }) {
  const [form, setForm] = useState(kEmpty);
  const list = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const start = instantOf(form.from);
    const end = instantOf(form.to);
    onChange({
      ...(form.action.trim() ? { action: form.action.trim() } : {}),
      ...(form.user.trim() ? { user_id: form.user.trim() } : {}),
      ...(start ? { start_time: start } : {}),
      ...(end ? { end_time: end } : {}),
    });
  };
  const clear = () => {
    setForm(kEmpty);
    onChange({});
  };
  const field = (name: keyof typeof kEmpty, label: string, more: Parameters<typeof Input>[0]) => (
    <Field label={label}>
      {(ids) => <Input {...ids} {...more} value={form[name]} onChange={(event) => setForm({ ...form, [name]: event.target.value })} spellCheck={false} />}
    </Field>
  );
  return (
    <form role="search" aria-label="Entries" onSubmit={submit} className="mb-5 grid items-end gap-3 sm:grid-cols-2 lg:grid-cols-[1fr_1fr_1fr_1fr_auto]">
      {field('action', 'Action', { list, placeholder: 'Any', autoComplete: 'off' })}
      <datalist id={list}>
        {[...new Set([...actions, ...kActions])].sort().map((action) => (
          <option key={action} value={action} />
        ))}
      </datalist>
      {field('user', 'User', { placeholder: 'Any', autoComplete: 'off' })}
      {field('from', 'From', { type: 'datetime-local' })}
      {field('to', 'Until', { type: 'datetime-local' })}
      <div className="flex gap-2">
        <Button type="submit">Filter</Button>
        <Button look="ghost" onClick={clear}>
          Clear
        </Button>
      </div>
    </form>
  );
}
