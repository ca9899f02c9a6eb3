import { Badge, Button, Choices, EmptyState, SectionCard, SkeletonRows, Table, Td, Th, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { BellOff } from 'lucide-react';
import { useState } from 'react';

import { acknowledgeAlert, dismissAlert, type Schemas } from '../../api/client';
import { alertsQuery, type AlertFilter } from '../../api/queries';
import { may, useCaller } from '../../app/access';
import { Failure } from '../../app/failure';
import { count, dateTime } from '../../lib/format';
import { deviation, metricOf, severityTones } from './figures';

type Alert = Schemas['Alert'];
type State = 'active' | 'resolved' | 'all';

const kStates = [
  { value: 'active', label: 'Active' },
  { value: 'resolved', label: 'Resolved' },
  { value: 'all', label: 'All' },
] as const;

function Row({ alert, onAct, acting }: { alert: Alert; onAct: ((what: 'acknowledge' | 'dismiss', id: string) => void) | undefined; acting: boolean }) {
  const metric = metricOf(alert.metric);
  return (
    <tr className="align-top hover:bg-sunken/60">
      <Td className="text-xs whitespace-nowrap text-ink-2 tabular-nums">
        {dateTime(alert.fired_at)}
        {alert.occurrences > 1 && <span className="block text-ink-3">{count(alert.occurrences)} times</span>}
      </Td>
      <Td>
        <Badge tone={severityTones[alert.severity]} dot>
          {alert.severity}
        </Badge>
      </Td>
      <Td className="min-w-56">
        <span className="block font-medium break-words">{alert.title}</span>
        <span className="block text-xs break-words text-ink-3">{alert.message}</span>
        {alert.scope === 'installation' && <span className="block text-xs text-ink-3">whole installation{alert.node_id ? `, ${alert.node_id}` : ''}</span>}
      </Td>
      <Td numeric className="text-ink-2">
        {metric.show(alert.current_value)}
        <span className="block text-xs text-ink-3">
          of {metric.show(alert.expected_value)} {deviation(alert.deviation_pct)}
        </span>
      </Td>
      <Td>
        <Badge tone={alert.state === 'active' ? 'bad' : 'ok'}>{alert.state === 'active' ? 'active' : 'resolved'}</Badge>
        {alert.acknowledged_by && <span className="mt-1 block text-xs text-ink-3">seen by {alert.acknowledged_by}</span>}
        {alert.dismissed_by && <span className="mt-1 block text-xs text-ink-3">dismissed by {alert.dismissed_by}</span>}
      </Td>
      <Td className="whitespace-nowrap">
        {onAct && !alert.dismissed_at && (
          <span className="flex justify-end gap-1">
            {alert.state === 'active' && !alert.acknowledged_at && (
              <Button look="ghost" className="px-2.5 py-1.5" disabled={acting} aria-label={`Acknowledge: ${alert.title}`} onClick={() => onAct('acknowledge', alert.id)}>
                Acknowledge
              </Button>
            )}
            <Button look="ghost" className="px-2.5 py-1.5" disabled={acting} aria-label={`Dismiss: ${alert.title}`} onClick={() => onAct('dismiss', alert.id)}>
              Dismiss
            </Button>
          </span>
        )}
      </Td>
    </tr>
  );
}

/** What the notifier told, and what became of it. */
export function FiredCard() {
  const [state, setState] = useState<State>('active');
  const [before, setBefore] = useState<string>();
  const filter: AlertFilter = { ...(state === 'all' ? { dismissed: true } : { state }), ...(before ? { before } : {}) };
  const alerts = useQuery(alertsQuery(filter));
  const { data } = alerts;
  const caller = useCaller();
  const queries = useQueryClient();
  const notify = useToast();
  const acting = useMutation({
    mutationFn: ({ what, id }: { what: 'acknowledge' | 'dismiss'; id: string }) => (what === 'acknowledge' ? acknowledgeAlert(id) : dismissAlert(id)),
    onSuccess: (_, { what }) => notify('ok', what === 'acknowledge' ? 'You look after it.' : 'Taken off the list.'),
    onError: (error) => notify('bad', error.message),
    onSettled: () => queries.invalidateQueries({ queryKey: ['alerts'] }),
  });
  return (
    <SectionCard
      className="mt-4"
      title="Fired alerts"
      note={
        data && data.channels.length > 0
          ? `Told through ${data.channels.join(', ')}.`
          : 'What the gateway noticed by itself, newest first.'
      }
      actions={
        <div className="w-64 max-w-full">
          <Choices legend="State" value={state} options={kStates} onChange={(next) => (setState(next), setBefore(undefined))} />
        </div>
      }
    >
      {alerts.isError && !data ? (
        <Failure title="The alerts could not be listed" error={alerts.error} onRetry={() => void alerts.refetch()} retrying={alerts.isFetching} />
      ) : !data ? (
        <SkeletonRows rows={3} />
      ) : data.alerts.length === 0 ? (
        <EmptyState icon={BellOff} title={state === 'active' ? 'No alert is active' : 'No alert has fired'}>
          Alerts fire on errors, spikes, lost events and vendors that are away. Where they are told is set under <code className="font-mono text-[13px]">alerts</code> in the configuration.
        </EmptyState>
      ) : (
        <>
          <Table label="Fired alerts">
            <thead>
              <tr>
                <Th>Fired</Th>
                <Th>Severity</Th>
                <Th>What</Th>
                <Th numeric>Value</Th>
                <Th>State</Th>
                <Th>
                  <span className="sr-only">Actions</span>
                </Th>
              </tr>
            </thead>
            <tbody>
              {data.alerts.map((alert) => (
                <Row key={alert.id} alert={alert} acting={acting.isPending} onAct={may(caller, 'manage_policy') ? (what, id) => acting.mutate({ what, id }) : undefined} />
              ))}
            </tbody>
          </Table>
          {(data.next || before) && (
            <div className="mt-5 flex justify-end gap-2">
              <Button disabled={!before} onClick={() => setBefore(undefined)}>
                Newest
              </Button>
              <Button disabled={!data.next} onClick={() => data.next && setBefore(data.next)}>
                Older
              </Button>
            </div>
          )}
        </>
      )}
    </SectionCard>
  );
}
