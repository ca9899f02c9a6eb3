import { ActionMenu, useToast } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { CircleUser, KeyRound, LogOut } from 'lucide-react';

import { logOut, whoAmI } from '../api/client';
import { connection, setConnection } from '../api/connection';
import { meQuery } from '../api/queries';
import { forgetCaller, nameOf, roleOf, type Caller } from './access';

/** Ends the login of this browser: the session, or the key of this tab. */
export function useLogOut(caller: Caller | undefined): { leave: () => void; leaving: boolean } {
  const queries = useQueryClient();
  const notify = useToast();
  const leaving = useMutation({
    mutationFn: async () => {
      if (caller?.kind === 'session') await logOut();
      else setConnection({ ...connection(), key: '' });
    },
    onSuccess: async () => {
      const next = await whoAmI().catch(() => null);
      const shown = { predicate: ({ queryKey }: { queryKey: readonly unknown[] }) => queryKey[0] !== 'me' && queryKey[0] !== 'health' };
      forgetCaller();
      // Where nobody may go on, the pages go first; then what they showed is forgotten. An open gateway shows them anew.
      queries.setQueryData(meQuery.queryKey, next);
      if (next) await queries.resetQueries(shown);
      else queries.removeQueries(shown);
    },
    onError: (error) => notify('bad', `You are still logged in: ${error.message}`),
  });
  return { leave: () => leaving.mutate(), leaving: leaving.isPending };
}

/** Who is logged in, with organisation and role, and the way out. */
export function Account({ caller, onConnection, onLogOut }: { caller: Caller; onConnection: () => void; onLogOut: () => void }) {
  const name = nameOf(caller);
  const role = roleOf(caller);
  return (
    <ActionMenu
      label={`Account: ${name}, ${caller.org_id} · ${role}`}
      icon={CircleUser}
      text={`${caller.org_id} · ${role}`}
      heading={
        <>
          <span className="block font-medium break-words">{name}</span>
          <span className="mt-0.5 block text-xs font-normal text-ink-3">
            Organisation {caller.org_id}, role {role}
          </span>
        </>
      }
      actions={[
        { label: 'Connection', icon: KeyRound, onSelect: onConnection },
        { label: 'Log out', icon: LogOut, onSelect: onLogOut },
      ]}
    />
  );
}
