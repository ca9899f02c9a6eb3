/** The ways to prove who one is, for the login page and for the dialog that asks again. */
import { Button, ErrorState, Field, Input, SkeletonRows } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ExternalLink } from 'lucide-react';
import { useState, type FormEvent, type ReactNode } from 'react';

import { logIn, whoAmI } from '../../api/client';
import { apiBase, connection, pageBase, setConnection } from '../../api/connection';
import { ApiError } from '../../api/errors';
import { loginProvidersQuery, meQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { useNow } from '../../app/use-now';
import { duration } from '../../lib/format';

/** Counts down; `until` in ms since 1970. The alert around it is read out once, not every second. */
function Locked({ until }: { until: number }) {
  const now = useNow(1_000);
  const left = Math.ceil((until - now) / 1000);
  return (
    <ErrorState
      title="Too many failed attempts"
      cause={left > 0 ? 'Logging in is held back for a while; the right password will not help before.' : 'You can try again now.'}
      hint={left > 0 ? <span aria-live="off">Try again in {duration(left)}.</span> : undefined}
    />
  );
}

/** A refused attempt in the gateway's words; a lock-out with its wait. */
export function Refusal({ error, at }: { error: Error; at: number }) {
  if (error instanceof ApiError && error.status === 429 && error.retryAfterSeconds) {
    return <Locked key={at} until={at + error.retryAfterSeconds * 1000} />;
  }
  // Its hint tells to log in, which is what failed.
  if (error instanceof ApiError && error.status === 401) return <ErrorState title="You are not logged in" cause={error.message} />;
  return <Failure title="You are not logged in" error={error} />;
}

export function PasswordForm() {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [failedAt, setFailedAt] = useState(0);
  const queries = useQueryClient();
  const login = useMutation({
    mutationFn: async () => {
      await logIn(email.trim(), password);
      // A key would be sent in place of the session.
      setConnection({ ...connection(), key: '' });
      await queries.invalidateQueries({ queryKey: meQuery.queryKey, refetchType: 'all' });
    },
    onError: () => {
      setFailedAt(Date.now());
      setPassword('');
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (email.trim() && password && !login.isPending) login.mutate();
  };
  return (
    <form onSubmit={submit} className="space-y-4" aria-label="Log in with a password">
      <Field label="E-mail">
        {(ids) => (
          <Input {...ids} type="email" required autoComplete="username" spellCheck={false} value={email} onChange={(event) => setEmail(event.target.value)} />
        )}
      </Field>
      <Field label="Password">
        {(ids) => (
          <Input {...ids} type="password" required autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} />
        )}
      </Field>
      {login.isError && <Refusal error={login.error} at={failedAt} />}
      <Button type="submit" look="primary" className="w-full" busy={login.isPending}>
        Log in
      </Button>
    </form>
  );
}

export function KeyForm() {
  const [key, setKey] = useState('');
  const queries = useQueryClient();
  const login = useMutation({
    mutationFn: async () => {
      const before = connection();
      setConnection({ ...before, key });
      try {
        const caller = await whoAmI();
        if (!caller) throw new ApiError('The gateway refuses this key: it is wrong, expired or revoked.', { status: 401, code: 'unauthorized' });
        queries.setQueryData(meQuery.queryKey, caller);
      } catch (error) {
        setConnection({ ...before, key: '' });
        throw error;
      }
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() && !login.isPending) login.mutate();
  };
  return (
    <form onSubmit={submit} className="space-y-4" aria-label="Log in with a key">
      <Field
        label="API key"
        hint="Kept in this tab until you close it, and sent to the gateway as “Authorization: Bearer” with every call. Other tabs and later visits do not have it."
      >
        {(ids) => (
          <Input {...ids} type="password" required autoComplete="off" spellCheck={false} placeholder="ask_…" className="font-mono" value={key} onChange={(event) => setKey(event.target.value)} />
        )}
      </Field>
      {login.isError && <Refusal error={login.error} at={0} />}
      <Button type="submit" className="w-full" busy={login.isPending}>
        Use this key
      </Button>
    </form>
  );
}

/** The organisation's own logins; nothing where there are none. */
export function Providers({ from, newTab = false }: { from: string; newTab?: boolean }) {
  const { data, isError, isPending } = useQuery(loginProvidersQuery);
  if (isPending) return <SkeletonRows rows={1} />;
  if (isError || data.providers.length === 0) return null;
  const back = `${new URL(pageBase()).pathname.replace(/\/?$/, '/')}#${from}`;
  return (
    <>
      <div className="space-y-2">
        {data.providers.map(({ name, login_url }) => (
          <Button key={login_url} asChild className="w-full">
            <a href={`${apiBase()}${login_url}?return_to=${encodeURIComponent(back)}`} {...(newTab ? { target: '_blank', rel: 'noreferrer' } : {})}>
              <ExternalLink aria-hidden className="size-4" />
              Log in with {name}
              {newTab && <span className="sr-only">(new tab)</span>}
            </a>
          </Button>
        ))}
      </div>
      <Rule>or with a password</Rule>
    </>
  );
}

export function Rule({ children }: { children: ReactNode }) {
  return (
    <div className="my-5 flex items-center gap-3 text-xs text-ink-3 before:h-px before:flex-1 before:bg-line after:h-px after:flex-1 after:bg-line">
      {children}
    </div>
  );
}
