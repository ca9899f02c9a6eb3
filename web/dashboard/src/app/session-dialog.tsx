/** Asks who it is again when a login ended in the middle of something. The page stays behind it, with all that was typed. */
import { Button, Dialog } from '@asahi/ui';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

import { connection, setConnection, useConnection } from '../api/connection';
import { meQuery } from '../api/queries';
import { KeyForm, PasswordForm, Providers, Rule } from '../pages/login/forms';
import { lastCaller, nameOf, type Caller } from './access';

const sameCaller = (a: Caller, b: Caller): boolean => a.org_id === b.org_id && nameOf(a) === nameOf(b);

export function SessionDialog({ from, onLeave }: { from: string; onLeave: () => void }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const { key } = useConnection();
  const before = lastCaller();
  const back = me.data;
  const gone = useRef<Caller>(undefined);
  useEffect(() => {
    if (back === null) gone.current = lastCaller();
    if (!back || !gone.current) return;
    const same = sameCaller(back, gone.current);
    gone.current = undefined;
    // Somebody else must not be shown what was loaded for the one before.
    if (!same) window.location.reload();
    else void queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'me' });
  }, [back, queries]);
  return (
    <Dialog
      open={back === null}
      onOpenChange={(open) => !open && onLeave()}
      binding
      title="Your login has ended"
      description={`Log in again${before ? ` as ${nameOf(before)}` : ''}; what you typed is still here. Then repeat what was refused.`}
    >
      <div className="mt-5">
        {key ? (
          <>
            <p className="mb-4 text-sm text-ink-2">The API key of this tab is no longer taken: it has expired or was revoked.</p>
            <Button className="mb-5" onClick={() => setConnection({ ...connection(), key: '' })}>
              Forget the key
            </Button>
          </>
        ) : (
          <>
            <Providers from={from} newTab />
            <PasswordForm />
            <Rule>or with an API key</Rule>
          </>
        )}
        <KeyForm />
        <Button look="ghost" className="mt-4 w-full" onClick={onLeave}>
          Leave this page
        </Button>
      </div>
    </Dialog>
  );
}
