import { Button, Dialog, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { forgetMemory } from '../../../api/client';
import { Failure } from '../../../app/failure';
import type { MemoryId } from './memory-panel';

/** Asks before a memory is erased. */
export function ForgetDialog({ id, onDone }: { id: MemoryId | undefined; onDone: () => void }) {
  const queries = useQueryClient();
  const notify = useToast();
  const forgetting = useMutation({
    mutationFn: forgetMemory,
    onSuccess: () => {
      notify('ok', 'Forgotten: no search finds it any more.');
      close();
      void queries.invalidateQueries({ queryKey: ['memory'] });
    },
  });
  const close = () => {
    forgetting.reset();
    onDone();
  };
  return (
    <Dialog
      open={id !== undefined}
      onOpenChange={(open) => !open && close()}
      title="Forget this memory?"
      description={id ? `“${id.conversation_id}” of ${id.system_id} is erased from all tiers. It cannot be brought back.` : ''}
    >
      <div className="mt-5 space-y-4">
        {forgetting.isError && <Failure title="It was not forgotten" error={forgetting.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={close}>Keep it</Button>
          <Button look="danger" busy={forgetting.isPending} onClick={() => id && forgetting.mutate({ system_id: id.system_id, conversation_id: id.conversation_id })}>
            Forget it
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
