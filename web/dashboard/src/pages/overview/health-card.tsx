import { Badge, SectionCard, SkeletonRows, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import { cacheStatsQuery, healthQuery, providersQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { bytes, counted, duration } from '../../lib/format';

const tones: Record<string, Tone> = {
  healthy: 'ok',
  reachable: 'ok',
  degraded: 'warn',
  unknown: 'neutral',
  not_configured: 'neutral',
  unavailable: 'bad',
  unreachable: 'bad',
};

const words = (state: string): string => state.replaceAll('_', ' ');

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd className="mt-0.5 truncate text-sm font-medium text-ink tabular-nums">{children}</dd>
    </div>
  );
}

function CacheFacts() {
  const { data, isError } = useQuery(cacheStatsQuery);
  const value = (text: string | undefined) => text ?? (isError ? 'unknown' : '…');
  return (
    <>
      <Fact name="Cache">{value(data && `${data.backend}${data.degraded ? ' (Redis away)' : ''}`)}</Fact>
      <Fact name="Cache size">{value(data && `${counted(data.entries, 'entry', 'entries')}, ${bytes(data.bytes)}`)}</Fact>
    </>
  );
}

/** State of the gateway, its parts and its vendors. */
export function HealthCard() {
  const health = useQuery(healthQuery);
  const providers = useQuery(providersQuery);
  const vendors = providers.data?.providers ?? [];
  const vendorNames = new Set(vendors.map((vendor) => vendor.provider));
  const parts = Object.entries(health.data?.components ?? {}).filter(([name]) => !vendorNames.has(name));
  return (
    <SectionCard className="mt-4" title="Health" note="The gateway, its parts and its vendors.">
      {health.isError && !health.data ? (
        <Failure
          title="The state of the gateway is unknown"
          error={health.error}
          onRetry={() => void health.refetch()}
          retrying={health.isFetching}
        />
      ) : !health.data ? (
        <SkeletonRows rows={3} />
      ) : (
        <>
          <dl className="grid grid-cols-2 gap-4 sm:grid-cols-4">
            <Fact name="Uptime">{duration(health.data.uptime_seconds)}</Fact>
            <Fact name="Version">{health.data.version}</Fact>
            <CacheFacts />
          </dl>
          <ul aria-label="Parts" className="mt-5 flex flex-wrap gap-2">
            {[...parts, ...vendors.map((vendor) => [vendor.provider, vendor.status] as const)].map(([name, state]) => (
              <li key={name}>
                <Badge dot tone={tones[state] ?? 'neutral'}>
                  {name}
                  {state !== 'healthy' && state !== 'reachable' && <span className="font-normal">{words(state)}</span>}
                </Badge>
              </li>
            ))}
          </ul>
        </>
      )}
    </SectionCard>
  );
}
