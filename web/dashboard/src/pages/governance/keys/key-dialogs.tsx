import { Button, CodeBlock, CopyButton, Dialog, Notice, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import { revokeKey, rotateKey, type Schemas } from '../../../api/client';
import { Failure } from '../../../app/failure';
import { dateTime } from '../../../lib/format';

type ApiKey = Schemas['ApiKey'];

export const titleOf = (key: ApiKey): string => key.name || key.prefix;

/** Shows a new key, this once. */
export function IssuedDialog({ issued, onClose }: { issued: Schemas['IssuedApiKey'] | undefined; onClose: () => void }) {
  if (!issued) return null;
  return (
    <Dialog
      open
      binding
      onOpenChange={(open) => !open && onClose()}
      title="Your new API key"
      description={issued.name ? `“${issued.name}”, valid until ${dateTime(issued.expires_at)}.` : `Valid until ${dateTime(issued.expires_at)}.`}
    >
      <div className="mt-5 space-y-4">
        <Notice tone="warn">Copy it now: the gateway keeps only its fingerprint, and nobody can show it again.</Notice>
        <CodeBlock label="New API key" code={issued.api_key} className="break-all whitespace-pre-wrap" />
        <div className="flex flex-wrap justify-end gap-2">
          <CopyButton text={issued.api_key} label="Copy key" look="primary" />
          <Button onClick={onClose}>Done</Button>
        </div>
      </div>
    </Dialog>
  );
}

interface ConfirmProps {
  apiKey: ApiKey | undefined;
  onClose: () => void;
}

interface AskProps<T> extends ConfirmProps {
  title: string;
  description: ReactNode;
  action: string;
  failed: string;
  danger?: boolean;
  run: (prefix: string) => Promise<T>;
  onDone: (result: T) => void;
}

function Ask<T>({ apiKey, onClose, title, description, action, failed, danger = false, run, onDone }: AskProps<T>) {
  const queries = useQueryClient();
  const work = useMutation({
    mutationFn: run,
    onSuccess: (result) => {
      close();
      onDone(result);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['keys'] }),
  });
  const close = () => {
    work.reset();
    onClose();
  };
  return (
    <Dialog open={apiKey !== undefined} onOpenChange={(open) => !open && close()} title={title} description={description}>
      <div className="mt-5 space-y-4">
        {work.isError && <Failure title={failed} error={work.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Keep it</Button>
          <Button look={danger ? 'danger' : 'primary'} busy={work.isPending} onClick={() => apiKey && work.mutate(apiKey.prefix)}>
            {action}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

export function RevokeDialog({ apiKey, onClose }: ConfirmProps) {
  const notify = useToast();
  return (
    <Ask
      apiKey={apiKey}
      onClose={onClose}
      title={`Revoke ${apiKey ? titleOf(apiKey) : 'the key'}?`}
      description="Whoever uses it is refused within a minute, for good. There is no way back."
      action="Revoke"
      failed="The key was not revoked"
      danger
      run={revokeKey}
      onDone={() => notify('ok', 'The key is revoked.')}
    />
  );
}

export function RotateDialog({ apiKey, onClose, onIssued }: ConfirmProps & { onIssued: (key: Schemas['IssuedApiKey']) => void }) {
  return (
    <Ask
      apiKey={apiKey}
      onClose={onClose}
      title={`Rotate ${apiKey ? titleOf(apiKey) : 'the key'}?`}
      description="Makes a successor with the same rights. The old key stays valid for a while, so that its users can change over."
      action="Rotate"
      failed="The key was not rotated"
      run={rotateKey}
      onDone={onIssued}
    />
  );
}
