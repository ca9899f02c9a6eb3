import { Button, Field, Input } from '@asahi/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState, type FormEvent } from 'react';

import { signUp } from '../../api/client';
import { connection, setConnection } from '../../api/connection';
import { meQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { SplitPage } from './split-page';

const kLeastPassword = 12;

export function SignupPage() {
  const heading = useRef<HTMLHeadingElement>(null);
  const [form, setForm] = useState({ org: '', email: '', password: '' });
  const [tried, setTried] = useState(false);
  const queries = useQueryClient();
  const navigate = useNavigate();
  useEffect(() => {
    document.title = 'Sign up · Asahi';
    heading.current?.focus({ preventScroll: true });
  }, []);
  const founding = useMutation({
    mutationFn: async () => {
      await signUp(form.org.trim(), form.email.trim(), form.password);
      setConnection({ ...connection(), key: '' });
      await queries.invalidateQueries({ queryKey: meQuery.queryKey, refetchType: 'all' });
      await navigate({ to: '/', replace: true });
    },
  });
  const faults = {
    org: form.org.trim() ? '' : 'Name it.',
    email: /^\S+@\S+$/.test(form.email.trim()) ? '' : 'An address with an @.',
    password: form.password.length >= kLeastPassword ? '' : `At least ${kLeastPassword} characters.`,
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!faults.org && !faults.email && !faults.password && !founding.isPending) founding.mutate();
  };
  const field = (name: keyof typeof form, label: string, more: Parameters<typeof Input>[0], hint?: string) => (
    <Field label={label} hint={tried && faults[name] ? <span className="text-bad-text">{faults[name]}</span> : hint}>
      {(ids) => (
        <Input
          {...ids}
          {...more}
          value={form[name]}
          aria-invalid={tried && faults[name] ? true : undefined}
          onChange={(event) => setForm({ ...form, [name]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <SplitPage heading={heading} title="Found an organisation" purpose="You become its first admin. Who may do so is up to this gateway.">
      <form onSubmit={submit} className="space-y-4" aria-label="Sign up" noValidate>
        {field('org', 'Organisation', { autoComplete: 'organization', maxLength: 255 })}
        {field('email', 'E-mail', { type: 'email', autoComplete: 'username', spellCheck: false })}
        {field('password', 'Password', { type: 'password', autoComplete: 'new-password' }, `At least ${kLeastPassword} characters.`)}
        {founding.isError && <Failure title="The organisation was not founded" error={founding.error} />}
        <Button type="submit" look="primary" size="md" className="w-full" busy={founding.isPending}>
          Sign up
        </Button>
      </form>
      <p className="mt-6 text-sm text-ink-2">
        Already known here?{' '}
        <Link to="/login" className="font-medium text-accent-text underline underline-offset-4">
          Log in
        </Link>
      </p>
    </SplitPage>
  );
}
