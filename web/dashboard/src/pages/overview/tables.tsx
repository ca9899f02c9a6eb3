import { Badge, SortTh, Table, Td, Th, type Sort } from '@asahi/ui';
import { useState } from 'react';

import type { Schemas } from '../../api/client';
import { count, dollars, percent } from '../../lib/format';
import { sortedBy } from '../../lib/sort';
import { latencyText, type ModelRow, type ProviderRow } from './figures';

const rate = (hits: number, all: number): string => (all > 0 ? percent(hits / all) : '–');

type ModelKey = 'name' | 'provider' | 'requests' | 'cached' | 'p50' | 'p95' | 'cost';

function modelValue(row: ModelRow, key: ModelKey): string | number {
  if (key === 'p50' || key === 'p95') return row[key]?.value ?? -1;
  if (key === 'cached') return row.recent > 0 ? row.recentHits / row.recent : -1;
  return row[key];
}

export function ModelTable({ rows }: { rows: readonly ModelRow[] }) {
  const [sort, setSort] = useState<Sort<ModelKey>>({ key: 'requests', down: true });
  const heading = { sort, onSort: setSort };
  return (
    <Table label="Models by requests, latency and cost">
      <thead>
        <tr>
          <SortTh by="name" {...heading}>
            Model
          </SortTh>
          <SortTh by="provider" {...heading}>
            Provider
          </SortTh>
          <SortTh by="requests" numeric {...heading}>
            Requests
          </SortTh>
          <SortTh by="cached" numeric {...heading}>
            From cache
          </SortTh>
          <SortTh by="p50" numeric {...heading}>
            Vendor p50
          </SortTh>
          <SortTh by="p95" numeric {...heading}>
            Vendor p95
          </SortTh>
          <SortTh by="cost" numeric {...heading}>
            Paid
          </SortTh>
        </tr>
      </thead>
      <tbody>
        {sortedBy(rows, sort, modelValue).map((row) => (
          <tr key={row.name} className="hover:bg-sunken/60">
            <Td className="font-medium whitespace-nowrap">{row.name}</Td>
            <Td className="text-ink-2">{row.provider || '–'}</Td>
            <Td numeric>{count(row.requests)}</Td>
            <Td numeric>{rate(row.recentHits, row.recent)}</Td>
            <Td numeric>{latencyText(row.p50)}</Td>
            <Td numeric>{latencyText(row.p95)}</Td>
            <Td numeric>{dollars(row.cost)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

export function ProviderTable({ rows }: { rows: readonly ProviderRow[] }) {
  return (
    <Table label="Providers by requests and cost">
      <thead>
        <tr>
          <Th>Provider</Th>
          <Th numeric>Models</Th>
          <Th numeric>Requests</Th>
          <Th numeric>From cache</Th>
          <Th numeric>Paid</Th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <Td className="font-medium">{row.name}</Td>
            <Td numeric>{count(row.models)}</Td>
            <Td numeric>{count(row.requests)}</Td>
            <Td numeric>{rate(row.recentHits, row.recent)}</Td>
            <Td numeric>{dollars(row.cost)}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

const kTiers = [
  { tier: 'tier_1', name: 'Exact', note: 'the same request' },
  { tier: 'tier_2', name: 'Semantic', note: 'the same meaning' },
  { tier: 'tier_3', name: 'Workflow', note: 'steps of an answer' },
] as const;

export function TierTable({ metrics }: { metrics: Schemas['MetricsReply'] }) {
  return (
    <Table label="Cache tiers by hits and misses">
      <thead>
        <tr>
          <Th>Tier</Th>
          <Th numeric>Hits</Th>
          <Th numeric>Misses</Th>
          <Th numeric>Hit rate</Th>
        </tr>
      </thead>
      <tbody>
        {kTiers.map(({ tier, name, note }, index) => {
          const { hits, misses, hit_rate } = metrics.cache_stats[tier];
          const asked = hits + misses > 0;
          return (
            <tr key={tier}>
              <Td>
                <span className="font-medium">
                  {index + 1} · {name}
                </span>
                <span className="ml-2 text-xs text-ink-3 max-sm:hidden">{note}</span>
              </Td>
              {asked ? (
                <>
                  <Td numeric>{count(hits)}</Td>
                  <Td numeric>{count(misses)}</Td>
                  <Td numeric>{percent(hit_rate)}</Td>
                </>
              ) : (
                <Td numeric colSpan={3}>
                  <Badge>Not asked yet</Badge>
                </Td>
              )}
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}
