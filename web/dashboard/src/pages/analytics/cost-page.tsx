import { BarList, Button, EmptyState, Segments, SkeletonRows, SortTh, Stat, Table, Td, type Sort } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Coins, PiggyBank, Receipt } from 'lucide-react';
import { useState } from 'react';

import { costQuery, kGroups, type Group, type RequestFilter } from '../../api/analytics';
import type { Schemas } from '../../api/client';
import { PageHeader } from '../../app/page-header';
import { RangePicker, useRange } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { SavingsCard } from '../../app/savings-card';
import { Widget } from '../../app/widget';
import { count, countShort, counted, dollars, percent } from '../../lib/format';
import { rangeText } from '../../lib/range';
import { sortedBy } from '../../lib/sort';
import { keyName, kGroupNames } from './metrics';
import { AnalyticsTabs } from './tabs';

type Item = Schemas['CostItem'];
type Key = 'key' | 'requests' | 'cost' | 'avg_cost' | 'savings' | 'tokens';
const kMostBars = 8;
const kMostRows = 100;

const valueOf = (item: Item, key: Key): string | number => (key === 'tokens' ? item.input_tokens + item.output_tokens : item[key]);

/** The requests behind a row, where the explorer can find them. */
function filterOf(group: Group, key: string): RequestFilter | undefined {
  if (!key || key === 'unknown' || key === 'other') return undefined;
  return group === 'tier' ? { tier: key as '0' } : { [group]: key };
}

function CostTable({ items, group }: { items: readonly Item[]; group: Group }) {
  const [sort, setSort] = useState<Sort<Key>>({ key: 'cost', down: true });
  const heading = { sort, onSort: setSort };
  return (
    <Table label={`Cost by ${kGroupNames[group].toLowerCase()}`}>
      <thead>
        <tr>
          <SortTh by="key" {...heading}>
            {kGroupNames[group]}
          </SortTh>
          <SortTh by="requests" numeric {...heading}>
            Requests
          </SortTh>
          <SortTh by="cost" numeric {...heading}>
            Cost
          </SortTh>
          <SortTh by="avg_cost" numeric {...heading}>
            Each
          </SortTh>
          <SortTh by="savings" numeric {...heading}>
            Saved
          </SortTh>
          <SortTh by="tokens" numeric {...heading}>
            Tokens
          </SortTh>
        </tr>
      </thead>
      <tbody>
        {sortedBy(items, sort, valueOf).map((item) => {
          const filter = filterOf(group, item.key);
          const name = keyName(group, item.key);
          return (
            <tr key={item.key} className="hover:bg-sunken/60">
              <Td className="max-w-56 truncate font-medium" title={name}>
                {filter ? (
                  <Link to="/requests" search={filter} className="underline-offset-4 hover:underline">
                    {name}
                  </Link>
                ) : (
                  <span className="text-ink-2">{name}</span>
                )}
              </Td>
              <Td numeric>{count(item.requests)}</Td>
              <Td numeric>
                {dollars(item.cost)} <span className="ml-1 inline-block w-12 text-xs text-ink-3">{percent(item.share_pct / 100)}</span>
              </Td>
              <Td numeric>{dollars(item.avg_cost)}</Td>
              <Td numeric className={item.savings > 0 ? 'text-ok-text' : ''}>
                {dollars(item.savings)}
              </Td>
              <Td numeric>{countShort(item.input_tokens + item.output_tokens)}</Td>
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}

export function CostPage() {
  const [range, setRange] = useRange('30d');
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const group = kGroups.find((known) => known === search['group']) ?? 'model';
  const cost = useQuery(costQuery(range, group));
  const data = cost.data;
  const saved = data?.items.reduce((sum, item) => sum + item.savings, 0);
  return (
    <>
      <PageHeader title="Cost" purpose="Who and what the money went to." actions={<Refresh keys={['analytics']} updatedAt={cost.dataUpdatedAt} />} />
      <AnalyticsTabs range={range} />
      <div className="mb-4 flex flex-wrap items-center justify-between gap-3">
        <RangePicker range={range} onChange={setRange} />
        <Segments
          label="Group by"
          value={group}
          options={kGroups.map((value) => ({ value, label: kGroupNames[value] }))}
          onChange={(next) => void navigate({ to: '.', search: ((old: Record<string, unknown>) => ({ ...old, group: next })) as never, replace: true, resetScroll: false })}
        />
      </div>
      {!cost.isError && (
        <div className="mb-4 grid gap-3 sm:grid-cols-3 sm:gap-4">
          <Stat highlight label="Total cost" icon={Coins} value={data && dollars(data.total_cost)} note={rangeText(range)} />
          <Stat label="Saved" icon={PiggyBank} value={saved === undefined ? undefined : dollars(saved)} note="Against the baseline model" />
          <Stat
            label="Per request"
            icon={Receipt}
            value={data && dollars(data.total_requests > 0 ? data.total_cost / data.total_requests : 0)}
            note={data && counted(data.total_requests, 'request')}
          />
        </div>
      )}
      <Widget
        title={`Cost by ${kGroupNames[group].toLowerCase()}`}
        note={data && (data.items.length > kMostRows ? `The ${kMostRows} that cost most.` : `${count(data.items.length)} in all, ${rangeText(range)}.`)}
        query={cost}
        failure="The costs could not be loaded"
        height={420}
        skeleton={<SkeletonRows rows={9} />}
        empty={({ items }) =>
          items.length > 0 ? undefined : (
            <EmptyState
              icon={Coins}
              title="No request in this time"
              action={
                <Button asChild>
                  <Link to="/inference">Ask something</Link>
                </Button>
              }
            >
              Choose a longer range, or send a request.
            </EmptyState>
          )
        }
      >
        {({ items, total_cost }) => (
          <>
            {total_cost > 0 && (
              <div className="mb-6">
                <BarList
                  label={`Largest costs by ${kGroupNames[group].toLowerCase()}`}
                  rows={items
                    .filter((item) => item.cost > 0)
                    .slice(0, kMostBars)
                    .map((item) => ({ name: keyName(group, item.key), amount: item.cost, text: dollars(item.cost), share: percent(item.share_pct / 100) }))}
                />
              </div>
            )}
            <CostTable items={items} group={group} />
          </>
        )}
      </Widget>
      <SavingsCard range={range} className="mt-4" />
    </>
  );
}
