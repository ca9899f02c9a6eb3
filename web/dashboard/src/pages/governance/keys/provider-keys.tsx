import { Button, Dialog, EmptyState, Field, Input, SectionCard, Select, SkeletonRows, Table, Td, Th, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState, type FormEvent } from 'react';

import { post, removeProviderKey, type Schemas } from '../../../api/client';
import { providerKeysQuery } from '../../../api/queries';
import { Failure } from '../../../app/failure';
import { dateTime } from '../../../lib/format';

type ProviderKey = Schemas['ProviderKey'];

/** The organisation's own keys at model providers. */
export function ProviderKeys() {
  const keys = useQuery(providerKeysQuery);
  const [setting, setSetting] = useState<string>();
  const [removing, setRemoving] = useState<ProviderKey>();
  const all = keys.data?.keys ?? [];
  return (
    <>
      <SectionCard
        title="Provider keys"
        note="Calls to a provider go out with your own key there, on your own account, instead of the platform's."
        actions={
          <Button disabled={!keys.data} onClick={() => setSetting('')}>
            <Plus aria-hidden className="size-4" />
            Set provider key
          </Button>
        }
      >
        {keys.isError && !keys.data ? (
          <Failure title="The provider keys could not be listed" error={keys.error} onRetry={() => void keys.refetch()} retrying={keys.isFetching} />
        ) : !keys.data ? (
          <SkeletonRows rows={2} />
        ) : all.length === 0 ? (
          <EmptyState icon={KeyRound} title="No keys of your own">
            The platform's keys are used.
          </EmptyState>
        ) : (
          <Table label="Provider keys">
            <thead>
              <tr>
                <Th>Provider</Th>
                <Th>Key</Th>
                <Th>Set by</Th>
                <Th>Since</Th>
                <Th>
                  <span className="sr-only">Actions</span>
                </Th>
              </tr>
            </thead>
            <tbody>
              {all.map((key) => (
                <tr key={key.provider} className="hover:bg-sunken/60">
                  <Td className="font-medium">{key.provider}</Td>
                  <Td className="font-mono text-[13px] text-ink-2">…{key.hint}</Td>
                  <Td className="max-w-52 truncate text-ink-2">{key.created_by ?? '–'}</Td>
                  <Td className="text-xs text-ink-2 tabular-nums">{dateTime(key.created_at)}</Td>
                  <Td className="whitespace-nowrap">
                    <span className="flex justify-end gap-1">
                      <Button look="ghost" className="px-2.5 py-1.5" onClick={() => setSetting(key.provider)} aria-label={`Replace the key for ${key.provider}`}>
                        Replace
                      </Button>
                      <Button look="ghost" className="px-2.5 py-1.5 text-bad-text" onClick={() => setRemoving(key)} aria-label={`Remove the key for ${key.provider}`}>
                        Remove
                      </Button>
                    </span>
                  </Td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </SectionCard>
      {setting !== undefined && <SetDialog providers={keys.data?.providers ?? []} provider={setting} onClose={() => setSetting(undefined)} />}
      {removing && <RemoveDialog providerKey={removing} onClose={() => setRemoving(undefined)} />}
    </>
  );
}

interface SetDialogProps {
  providers: readonly string[];
  /** Chosen already; empty: none. */
  provider: string;
  onClose: () => void;
}

function SetDialog({ providers, provider, onClose }: SetDialogProps) {
  const [chosen, setChosen] = useState(provider || (providers[0] ?? ''));
  const [key, setKey] = useState('');
  const notify = useToast();
  const queries = useQueryClient();
  const work = useMutation({
    mutationFn: (body: Schemas['NewProviderKey']) => post('/providers/keys', body),
    onSuccess: (stored) => {
      onClose();
      notify('ok', `Calls to ${stored.provider} use the new key.`);
      void queries.invalidateQueries({ queryKey: ['models'] });
      return queries.invalidateQueries({ queryKey: ['provider-keys'] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() && !work.isPending) work.mutate({ provider: chosen, api_key: key.trim() });
  };
  return (
    <Dialog open firm onOpenChange={(open) => !open && onClose()} title="Set a provider key" description="It is stored encrypted and never shown again.">
      <form onSubmit={submit} className="mt-5 space-y-4" noValidate>
        <Field label="Provider">
          {(ids) => (
            <Select {...ids} value={chosen} onChange={(event) => setChosen(event.target.value)}>
              {providers.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="Key" hint="As the provider gave it to you.">
          {(ids) => <Input {...ids} type="password" value={key} onChange={(event) => setKey(event.target.value)} autoComplete="off" spellCheck={false} />}
        </Field>
        {work.isError && <Failure title="The key was not stored" error={work.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={work.isPending} disabled={!key.trim()}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function RemoveDialog({ providerKey, onClose }: { providerKey: ProviderKey; onClose: () => void }) {
  const notify = useToast();
  const queries = useQueryClient();
  const work = useMutation({
    mutationFn: () => removeProviderKey(providerKey.provider),
    onSuccess: () => {
      onClose();
      notify('ok', 'The key is removed.');
      void queries.invalidateQueries({ queryKey: ['models'] });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['provider-keys'] }),
  });
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title={`Remove your key for ${providerKey.provider}?`} description="What it was used for goes on with the platform’s key, if it has one.">
      <div className="mt-5 space-y-4">
        {work.isError && <Failure title="The key was not removed" error={work.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" busy={work.isPending} onClick={() => work.mutate()}>
            Remove
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
