import { Button, Field, Input, Notice, SectionCard, Select, SkeletonRows, SwitchRow, Textarea, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { put, type Schemas } from '../../api/client';
import { policyQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { dateTime } from '../../lib/format';
import { formOf, kCaps, policyOf, type PolicyFaults, type PolicyForm } from './policy-form';

type Policy = Schemas['Policy'];

function Editor({ loaded }: { loaded: Policy | null }) {
  const [form, setForm] = useState(() => formOf(loaded));
  const [faults, setFaults] = useState<PolicyFaults>({});
  const queries = useQueryClient();
  const notify = useToast();
  const saving = useMutation({
    mutationFn: (policy: Policy) => put('/org/policy', policy),
    onSuccess: (saved) => {
      queries.setQueryData(policyQuery.queryKey, saved);
      notify('ok', 'The policy is saved; it counts from the next request on.');
      return queries.invalidateQueries({ queryKey: ['usage'] });
    },
  });
  const set = (change: Partial<PolicyForm>) => setForm({ ...form, ...change });
  const changed = JSON.stringify(form) !== JSON.stringify(formOf(loaded));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = policyOf(form, loaded);
    setFaults('faults' in wanted ? wanted.faults : {});
    if ('policy' in wanted && !saving.isPending) saving.mutate(wanted.policy);
  };
  return (
    <form onSubmit={submit} className="space-y-5" noValidate>
      {loaded?.warnings && loaded.warnings.length > 0 && (
        <Notice tone="warn">
          <ul className="list-inside list-disc">
            {loaded.warnings.map((warning) => (
              <li key={warning} className="break-words">{warning}</li>
            ))}
          </ul>
        </Notice>
      )}
      <div className="grid gap-4 lg:grid-cols-2">
        <Field label="Allowed models" hint="Names, aliases or prefixes with a final *, separated by commas. Empty: all.">
          {(ids) => <Textarea {...ids} rows={2} spellCheck={false} value={form.allowed} onChange={(event) => set({ allowed: event.target.value })} />}
        </Field>
        <Field label="Blocked models" hint="Wins over allowed.">
          {(ids) => <Textarea {...ids} rows={2} spellCheck={false} value={form.blocked} onChange={(event) => set({ blocked: event.target.value })} />}
        </Field>
      </div>
      <fieldset className="min-w-0">
        <legend className="mb-2 text-sm text-ink-3">Caps and limits; an empty field sets none.</legend>
        <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
          {kCaps.map(({ name, label, hint }) => (
            <Field key={name} label={label} hint={faults[name] ? <span className="text-bad-text">{faults[name]}</span> : hint}>
              {(ids) => (
                <Input
                  {...ids}
                  inputMode="decimal"
                  autoComplete="off"
                  placeholder="None"
                  value={form[name]}
                  aria-invalid={faults[name] ? true : undefined}
                  onChange={(event) => set({ [name]: event.target.value })}
                />
              )}
            </Field>
          ))}
          <Field label="Data residency" hint="Only models in this region.">
            {(ids) => (
              <Select {...ids} value={form.residency} onChange={(event) => set({ residency: event.target.value as PolicyForm['residency'] })}>
                <option value="">Anywhere</option>
                <option value="us">United States</option>
                <option value="eu">European Union</option>
                <option value="ap">Asia-Pacific</option>
              </Select>
            )}
          </Field>
        </div>
      </fieldset>
      <SwitchRow
        label="Require the audit log"
        hint="Every model call gets a durable entry or is refused."
        checked={form.audit}
        onChange={(audit) => set({ audit })}
      />
      {saving.isError && <Failure title="The policy was not saved" error={saving.error} />}
      <div className="flex justify-end gap-2">
        <Button disabled={!changed} onClick={() => (setForm(formOf(loaded)), setFaults({}))}>
          Undo changes
        </Button>
        <Button type="submit" look="primary" disabled={!changed} busy={saving.isPending}>
          Save policy
        </Button>
      </div>
    </form>
  );
}

export function PolicyCard() {
  const policy = useQuery(policyQuery);
  const { data } = policy;
  return (
    <SectionCard
      className="mt-4"
      title="Policy"
      note={
        data?.updated_at
          ? `Last changed ${dateTime(data.updated_at)} by ${data.updated_by ?? 'nobody known'}.`
          : data === null
            ? 'None yet: only the plan and the gateway limit anything. Saving makes one.'
            : 'Loading'
      }
    >
      {policy.isError && data === undefined ? (
        <Failure title="The policy could not be read" error={policy.error} onRetry={() => void policy.refetch()} retrying={policy.isFetching} />
      ) : data === undefined ? (
        <SkeletonRows rows={5} />
      ) : (
        <Editor key={data?.updated_at ?? 'none'} loaded={data} />
      )}
    </SectionCard>
  );
}
