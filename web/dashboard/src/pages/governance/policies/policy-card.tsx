import { Button, Dialog, Field, Input, Notice, SectionCard, Select, SkeletonRows, SwitchRow, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ArrowRight, Plus, X } from 'lucide-react';
import { useState, type FormEvent, type ReactNode } from 'react';

import { put, type Schemas } from '../../../api/client';
import { policyQuery } from '../../../api/queries';
import { Failure } from '../../../app/failure';
import { ModelPicker } from '../../../app/model-picker';
import { counted, dateTime } from '../../../lib/format';
import { changesOf, formOf, kCaps, kResidencies, policyOf, type Change, type ModelLimit, type PolicyFaults, type PolicyForm } from './policy-form';

type Policy = Schemas['Policy'];
type TextField = { [Name in keyof PolicyForm]: PolicyForm[Name] extends string ? Name : never }[keyof PolicyForm];

/** What saving would change, before it is saved. */
function ReviewDialog({ changes, saving, error, onSave, onBack }: { changes: readonly Change[] | undefined; saving: boolean; error: Error | null; onSave: () => void; onBack: () => void }) {
  return (
    <Dialog
      open={changes !== undefined}
      onOpenChange={(open) => !open && onBack()}
      title="Save these changes?"
      description="They count from the next request on, and stand in the audit log."
    >
      <dl className="mt-5 divide-y divide-line text-sm">
        {changes?.map(({ rule, before, after }) => (
          <div key={rule} className="py-2.5">
            <dt className="font-medium text-ink">{rule}</dt>
            <dd className="mt-1 flex flex-wrap items-center gap-x-2 gap-y-1">
              <del className="min-w-0 rounded bg-bad-soft px-1.5 break-words text-bad-text no-underline">
                <span className="sr-only">now </span>
                {before}
              </del>
              <ArrowRight aria-hidden className="size-4 shrink-0 text-ink-3" />
              <ins className="min-w-0 rounded bg-ok-soft px-1.5 break-words text-ok-text no-underline">
                <span className="sr-only">then </span>
                {after}
              </ins>
            </dd>
          </div>
        ))}
      </dl>
      {error && (
        <div className="mt-4">
          <Failure title="The policy was not saved" error={error} />
        </div>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <Button onClick={onBack}>Back</Button>
        <Button look="primary" busy={saving} onClick={onSave}>
          Save policy
        </Button>
      </div>
    </Dialog>
  );
}

function Part({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  return (
    <fieldset className="min-w-0 border-t border-line pt-5">
      <legend className="float-left mb-4 w-full">
        <span className="block text-sm font-semibold text-ink">{title}</span>
        {note && <span className="block text-xs text-ink-3">{note}</span>}
      </legend>
      <div className="clear-both">{children}</div>
    </fieldset>
  );
}

/** Limits of single models, a row each. */
function ModelLimits({ rows, fault, onChange }: { rows: readonly ModelLimit[]; fault: string | undefined; onChange: (rows: ModelLimit[]) => void }) {
  const set = (index: number, change: Partial<ModelLimit>) => onChange(rows.map((row, at) => (at === index ? { ...row, ...change } : row)));
  return (
    <div className="space-y-3">
      {rows.map((row, index) => (
        // The rows have no name but their place.
        <div key={index} className="grid grid-cols-2 items-end gap-3 rounded-lg bg-sunken/60 p-3 sm:grid-cols-[minmax(0,2fr)_1fr_1fr_auto] sm:bg-transparent sm:p-0">
          <Field label="Model" className="max-sm:col-span-2">
            {(ids) => <Input {...ids} value={row.model} spellCheck={false} autoComplete="off" onChange={(event) => set(index, { model: event.target.value })} />}
          </Field>
          <Field label="Requests">
            {(ids) => <Input {...ids} inputMode="numeric" placeholder="No limit" value={row.requests} onChange={(event) => set(index, { requests: event.target.value })} />}
          </Field>
          <Field label="Tokens">
            {(ids) => <Input {...ids} inputMode="numeric" placeholder="No limit" value={row.tokens} onChange={(event) => set(index, { tokens: event.target.value })} />}
          </Field>
          <Button look="ghost" size="icon" aria-label={`Remove the limits of ${row.model || 'this row'}`} onClick={() => onChange(rows.filter((_, at) => at !== index))}>
            <X aria-hidden className="size-4" />
          </Button>
        </div>
      ))}
      {fault && <p className="text-xs text-bad-text">{fault}</p>}
      <Button onClick={() => onChange([...rows, { model: '', requests: '', tokens: '' }])}>
        <Plus aria-hidden className="size-4" />
        Limit a model
      </Button>
    </div>
  );
}

function Editor({ loaded }: { loaded: Policy | null }) {
  const [form, setForm] = useState(() => formOf(loaded));
  const [faults, setFaults] = useState<PolicyFaults>({});
  const [review, setReview] = useState<{ policy: Policy; changes: Change[] }>();
  const queries = useQueryClient();
  const notify = useToast();
  const saving = useMutation({
    mutationFn: (policy: Policy) => put('/org/policy', policy),
    onSuccess: (saved) => {
      setReview(undefined);
      queries.setQueryData(policyQuery.queryKey, saved);
      notify('ok', 'The policy is saved; it counts from the next request on.');
      return queries.invalidateQueries({ queryKey: ['usage'] });
    },
  });
  const set = (change: Partial<PolicyForm>) => setForm({ ...form, ...change });
  const original = formOf(loaded);
  const changes = changesOf(original, form);
  const touched = JSON.stringify(form) !== JSON.stringify(original);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const wanted = policyOf(form, loaded);
    setFaults('faults' in wanted ? wanted.faults : {});
    saving.reset();
    if ('policy' in wanted && changes.length > 0) setReview({ policy: wanted.policy, changes });
  };
  const number = (name: TextField, label: string, hint: string, placeholder = 'No limit') => (
    <Field key={name} label={label} hint={faults[name] ? <span className="text-bad-text">{faults[name]}</span> : hint}>
      {(ids) => (
        <Input
          {...ids}
          inputMode="decimal"
          autoComplete="off"
          placeholder={placeholder}
          value={form[name]}
          aria-invalid={faults[name] ? true : undefined}
          onChange={(event) => set({ [name]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <form onSubmit={submit} className="space-y-6" noValidate aria-label="Policy">
      {loaded?.warnings && loaded.warnings.length > 0 && (
        <Notice tone="warn">
          <ul className="list-inside list-disc">
            {loaded.warnings.map((warning) => (
              <li key={warning} className="break-words">{warning}</li>
            ))}
          </ul>
        </Notice>
      )}
      <div className="grid gap-6 lg:grid-cols-2">
        <ModelPicker label="Allowed models" hint="Only these answer. A final * stands for anything." none="All models" values={form.allowed} onChange={(allowed) => set({ allowed })} />
        <ModelPicker label="Blocked models" hint="These never answer, even when they are allowed." none="None" values={form.blocked} onChange={(blocked) => set({ blocked })} />
      </div>
      <Part title="Budgets and limits" note="An empty field sets none.">
        <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">{kCaps.map(({ name, label, hint }) => number(name, label, hint))}</div>
      </Part>
      <Part title="Per minute, for each user and model">
        <div className="mb-4 grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
          {number('userRequests', 'Requests of a user', 'By the user that a call names.')}
          {number('userTokens', 'Tokens of a user', 'In and out.')}
        </div>
        <ModelLimits rows={form.perModel} fault={faults.perModel} onChange={(perModel) => set({ perModel })} />
      </Part>
      <Part title="Defaults and duties">
        <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
          {number('quality', 'Quality', '0 to 5, where a call says nothing.', '3.5')}
          {number('latency', 'Latency budget, ms', '50 to 30,000, where a call says nothing.', '300')}
          <Field label="Cost sensitivity" hint="High takes cached answers early.">
            {(ids) => (
              <Select {...ids} value={form.sensitivity} onChange={(event) => set({ sensitivity: event.target.value as PolicyForm['sensitivity'] })}>
                <option value="">As the gateway is set</option>
                <option value="high">High</option>
                <option value="medium">Medium</option>
                <option value="low">Low</option>
              </Select>
            )}
          </Field>
          <Field label="Data residency" hint="Only models in this region.">
            {(ids) => (
              <Select {...ids} value={form.residency} onChange={(event) => set({ residency: event.target.value as PolicyForm['residency'] })}>
                <option value="">Anywhere</option>
                {Object.entries(kResidencies).map(([value, label]) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        </div>
        <div className="mt-5">
          <SwitchRow
            label="Require the audit log"
            hint="Every model call gets a durable entry or is refused."
            checked={form.audit}
            onChange={(audit) => set({ audit })}
          />
        </div>
      </Part>
      <div className="flex flex-wrap items-center justify-end gap-2 border-t border-line pt-5">
        <p role="status" className="mr-auto text-sm text-ink-3">
          {changes.length > 0 && `${counted(changes.length, 'change')} not saved`}
        </p>
        <Button disabled={!touched} onClick={() => (setForm(original), setFaults({}))}>
          Undo changes
        </Button>
        <Button type="submit" look="primary" disabled={!touched}>
          Review changes
        </Button>
      </div>
      <ReviewDialog
        changes={review?.changes}
        saving={saving.isPending}
        error={saving.error}
        onSave={() => review && saving.mutate(review.policy)}
        onBack={() => setReview(undefined)}
      />
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
