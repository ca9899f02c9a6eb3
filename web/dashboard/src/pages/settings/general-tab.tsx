import { Button, Choices, Field, Input, SectionCard, Select, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { post } from '../../api/client';
import { connection, pageBase, setConnection, useConnection } from '../../api/connection';
import { alertsQuery, tenantQuery } from '../../api/queries';
import { isOpen, may, nameOf, roleOf, useCaller } from '../../app/access';
import { Failure } from '../../app/failure';
import { setTheme, useTheme } from '../../app/theme';
import { dateTime } from '../../lib/format';
import { browserTimezone, setTimezone, timezones, useTimezone } from '../../lib/timezone';
import { EffectiveList, EverySetting, HowToChange } from './effective';

const kThemes = [
  { value: 'system', label: 'System' },
  { value: 'light', label: 'Light' },
  { value: 'dark', label: 'Dark' },
] as const;

function BrowserCard() {
  const theme = useTheme();
  const zone = useTimezone();
  return (
    <SectionCard title="This browser" note="Kept here only; nobody else sees the dashboard otherwise.">
      <div className="grid gap-5 sm:grid-cols-2">
        <Choices legend="Theme" value={theme} options={kThemes} onChange={setTheme} />
        <Field label="Timezone" hint={`It is ${dateTime(new Date().toISOString())} there.`}>
          {(ids) => (
            <Select {...ids} value={zone} onChange={(event) => setTimezone(event.target.value)}>
              <option value="">As the browser: {browserTimezone()}</option>
              {timezones().map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <div className="mt-5">
        <AddressForm />
      </div>
    </SectionCard>
  );
}

const badAddress = (text: string): boolean => text.trim() !== '' && !/^https?:\/\/[^/\s]+/.test(text.trim());

function AddressForm() {
  const { base } = useConnection();
  const [text, setText] = useState(base);
  const queries = useQueryClient();
  const notify = useToast();
  const wrong = badAddress(text);
  const save = (event: FormEvent) => {
    event.preventDefault();
    if (wrong) return;
    setConnection({ ...connection(), base: text });
    void queries.resetQueries();
    notify('ok', text.trim() ? 'The dashboard asks that gateway now.' : 'The dashboard asks the gateway that served it.');
  };
  return (
    <form onSubmit={save} noValidate className="flex flex-wrap items-start gap-3">
      <Field
        label="API base URL"
        className="flex-1 basis-64"
        hint={wrong ? <span className="text-bad-text">Start with http:// or https:// and a host.</span> : 'Empty: the gateway that served this page.'}
      >
        {(ids) => <Input {...ids} type="url" placeholder={pageBase()} spellCheck={false} value={text} aria-invalid={wrong || undefined} onChange={(event) => setText(event.target.value)} />}
      </Field>
      <Button type="submit" className="mt-7" disabled={text.trim().replace(/\/+$/, '') === base}>
        Save address
      </Button>
    </form>
  );
}

function OrganisationCard() {
  const caller = useCaller();
  // An open gateway's organisation is in no register.
  const tenant = useQuery({ ...tenantQuery(caller?.org_id ?? ''), enabled: Boolean(caller) && !isOpen(caller!) });
  if (!caller) return null;
  const facts: [string, string][] = [
    ['Organisation', tenant.data ? `${tenant.data.name} (${caller.org_id})` : caller.org_id],
    ['Plan', tenant.data?.plan ?? caller.plan ?? 'none: nothing is limited by a plan'],
    ['You are', isOpen(caller) ? 'nobody in particular: authentication is off' : `${nameOf(caller)}, ${roleOf(caller)}`],
    ...(caller.user?.email ? [['E-mail', caller.user.email] as [string, string]] : []),
    ['You may', caller.permissions.join(', ').replaceAll('_', ' ')],
  ];
  return (
    <SectionCard className="mt-4" title="Organisation" note="Who you are to this gateway.">
      <dl className="space-y-2 text-sm">
        {facts.map(([name, value]) => (
          <div key={name} className="grid gap-x-4 sm:grid-cols-[9rem_minmax(0,1fr)]">
            <dt className="text-ink-3">{name}</dt>
            <dd className="break-words text-ink">{value}</dd>
          </div>
        ))}
      </dl>
    </SectionCard>
  );
}

/** Whether alerts and the digest reach anybody. */
function NotificationsCard() {
  const caller = useCaller();
  const operates = may(caller, 'manage_tenants');
  const alerts = useQuery({ ...alertsQuery({ state: 'active' }), enabled: operates });
  const notify = useToast();
  const sending = useMutation({
    mutationFn: () => post('/alerts/test', undefined as never),
    onSuccess: ({ results }) => {
      const failed = results.filter(({ delivered }) => !delivered);
      if (results.length === 0) notify('warn', 'No channel is configured, so nothing was sent.');
      else if (failed.length === 0) notify('ok', `Sent through ${results.map(({ channel }) => channel).join(', ')}.`);
      else notify('bad', failed.map(({ channel, error }) => `${channel}: ${error ?? 'not delivered'}`).join('; '));
    },
    onError: (error) => notify('bad', `Nothing was sent: ${error.message}`),
  });
  if (!operates) return null;
  return (
    <SectionCard
      className="mt-4"
      title="Notifications"
      note="Alerts by webhook, Slack, PagerDuty, Opsgenie or e-mail, and a digest. Their addresses and secrets are configuration."
      actions={
        <Button busy={sending.isPending} onClick={() => sending.mutate()}>
          Send a test
        </Button>
      }
    >
      {alerts.isError && !alerts.data ? (
        <Failure title="The channels could not be listed" error={alerts.error} onRetry={() => void alerts.refetch()} retrying={alerts.isFetching} />
      ) : (
        <p className="mb-2 text-sm text-ink-2">
          {!alerts.data ? 'Loading' : alerts.data.channels.length > 0 ? `Configured: ${alerts.data.channels.join(', ')}.` : 'No channel is configured: alerts are only listed here.'}
        </p>
      )}
      <EffectiveList sections={['alerts']} />
    </SectionCard>
  );
}

export function GeneralTab() {
  return (
    <>
      <BrowserCard />
      <OrganisationCard />
      <NotificationsCard />
      <SectionCard className="mt-4" title="Every setting" note={<HowToChange />}>
        <EverySetting />
      </SectionCard>
    </>
  );
}
