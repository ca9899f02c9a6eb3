import { Button, EmptyState, Notice, SectionCard, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { KeySquare, Plus } from 'lucide-react';
import { useState } from 'react';

import type { Schemas } from '../../../api/client';
import { keysQuery, kMostKeys } from '../../../api/queries';
import { isOpen, useCaller } from '../../../app/access';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { count } from '../../../lib/format';
import { CreateDialog } from './create-dialog';
import { IssuedDialog, RevokeDialog, RotateDialog } from './key-dialogs';
import { KeyTable } from './key-table';
import { ProviderKeys } from './provider-keys';

/** The keys with what can be done to them; a page and a tab of the settings show it. */
export function KeysCard() {
  const keys = useQuery(keysQuery);
  const [creating, setCreating] = useState(false);
  const [issued, setIssued] = useState<Schemas['IssuedApiKey']>();
  const [asking, setAsking] = useState<{ what: 'rotate' | 'revoke'; key: Schemas['ApiKey'] }>();
  const all = keys.data?.keys ?? [];
  const active = all.filter(({ status }) => status === 'active').length;
  const close = () => setAsking(undefined);
  return (
    <>
      <SectionCard
        title="API keys"
        note={
          <span role="status">
            {!keys.data
              ? 'Loading'
              : all.length >= kMostKeys
                ? `The newest ${count(all.length)} of ${keys.data.org_id}`
                : `${count(all.length)} of ${keys.data.org_id}, ${count(active)} active`}
          </span>
        }
        actions={
          <Button look="primary" onClick={() => setCreating(true)}>
            <Plus aria-hidden className="size-4" />
            Create key
          </Button>
        }
      >
        {keys.isError && !keys.data ? (
          <Failure title="The keys could not be listed" error={keys.error} onRetry={() => void keys.refetch()} retrying={keys.isFetching} />
        ) : !keys.data ? (
          <SkeletonRows rows={5} />
        ) : all.length === 0 ? (
          <EmptyState
            icon={KeySquare}
            title="No keys yet"
            action={
              <Button onClick={() => setCreating(true)}>
                <Plus aria-hidden className="size-4" />
                Create the first
              </Button>
            }
          >
            A program calls the gateway with a key of its own, which can be limited, rotated and revoked.
          </EmptyState>
        ) : (
          <KeyTable keys={all} onRotate={(key) => setAsking({ what: 'rotate', key })} onRevoke={(key) => setAsking({ what: 'revoke', key })} />
        )}
      </SectionCard>
      {/* Who may not see the one may not see the other, and is told once. */}
      {keys.data && (
        <div className="mt-6">
          <ProviderKeys />
        </div>
      )}
      <CreateDialog open={creating} onOpenChange={setCreating} onIssued={setIssued} />
      <RotateDialog apiKey={asking?.what === 'rotate' ? asking.key : undefined} onClose={close} onIssued={setIssued} />
      <RevokeDialog apiKey={asking?.what === 'revoke' ? asking.key : undefined} onClose={close} />
      <IssuedDialog issued={issued} onClose={() => setIssued(undefined)} />
    </>
  );
}

export function KeysPage() {
  const keys = useQuery(keysQuery);
  const caller = useCaller();
  return (
    <>
      <PageHeader
        title="API Keys"
        purpose="Who may call this gateway, for what, and until when; and your own keys at providers."
        actions={<Refresh keys={['keys', 'provider-keys']} updatedAt={keys.dataUpdatedAt} />}
      />
      {isOpen(caller) && (
        <div className="mb-4">
          <Notice tone="info">Authentication is off: calls without a key are let in too.</Notice>
        </div>
      )}
      <KeysCard />
    </>
  );
}
