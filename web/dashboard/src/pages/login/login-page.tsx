import { Button, CodeBlock, Notice } from '@asahi/ui';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';

import { connection, setConnection, useConnection } from '../../api/connection';
import { meQuery } from '../../api/queries';
import { safeReturn } from '../../app/access';
import { Failure } from '../../app/failure';
import { KeyForm, PasswordForm, Providers, Rule } from './forms';
import { SplitPage } from './split-page';

/** A key of this tab that the gateway no longer takes. */
function RefusedKey() {
  const queries = useQueryClient();
  const forget = () => {
    setConnection({ ...connection(), key: '' });
    void queries.invalidateQueries({ queryKey: meQuery.queryKey });
  };
  return (
    <div className="mb-4">
      <Notice tone="warn">
        <p>The API key of this tab is refused: it is wrong, expired or revoked.</p>
        <Button className="mt-2" onClick={forget}>
          Forget the key
        </Button>
      </Notice>
    </div>
  );
}

export function LoginPage() {
  const from = safeReturn(useSearch({ from: '/login' }).from);
  const me = useQuery(meQuery);
  const { key, base } = useConnection();
  const heading = useRef<HTMLHeadingElement>(null);
  const [kept, setKept] = useState(key);
  useEffect(() => {
    document.title = 'Log in · Asahi';
    heading.current?.focus({ preventScroll: true });
  }, []);
  const navigate = useNavigate();
  const known = Boolean(me.data);
  useEffect(() => {
    // With its filters, its range and what was open.
    if (known) void navigate({ href: from, replace: true });
  }, [known, from, navigate]);
  // Only a key that was there before counts as refused; one just typed is answered by its form.
  if (kept && !key) setKept('');
  if (known) return null;
  // The session's cookie reaches only the gateway that served this page.
  const elsewhere = base !== '' && URL.canParse(base) && new URL(base).origin !== window.location.origin;
  return (
    <SplitPage heading={heading} title="Log in to Asahi" purpose="This gateway wants to know who calls.">
      {kept && me.data === null && <RefusedKey />}
      {me.isError && (
        <div className="mb-4">
          <Failure title="The gateway cannot be asked" error={me.error} onRetry={() => void me.refetch()} retrying={me.isFetching} />
        </div>
      )}
      {elsewhere ? (
        <p className="mb-4 text-sm text-ink-2">The gateway at {base} is not the one that served this page, so only a key logs you in there.</p>
      ) : (
        <>
          <Providers from={from} />
          <PasswordForm />
          <Rule>or with an API key</Rule>
        </>
      )}
      <KeyForm />
      <details className="mt-6 text-sm text-ink-3">
        <summary className="rounded hover:text-ink">No account or key yet?</summary>
        <p className="mt-3 mb-2 text-ink-2">
          An admin adds users and makes keys. <Link to="/signup" className="font-medium text-accent-text underline underline-offset-4">Found an organisation</Link> where this
          gateway lets you, or make the first key on its machine:
        </p>
        <CodeBlock label="Command that makes a key" code="asahi keys create --org acme" />
      </details>
    </SplitPage>
  );
}
