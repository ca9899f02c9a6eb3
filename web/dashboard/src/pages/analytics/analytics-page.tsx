import { Button, EmptyState, Skeleton, SkeletonRows, SortTh, Stat, Table, Td, type Sort } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Award, Gauge, PiggyBank, Repeat2, ScatterChart } from 'lucide-react';
import { useState } from 'react';

import { cacheAnalyticsQuery, latencyQuery, modelUsageQuery, overviewQuery, type ModelUsage } from '../../api/analytics';
import { may, useCaller } from '../../app/access';
import { PageHeader } from '../../app/page-header';
import { RangePicker, useRange } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { Widget } from '../../app/widget';
import { DotsChart, TimeChart } from '../../charts/charts';
import { coloursOf } from '../../charts/colours';
import { count, counted, dollars, dollarsShort, milliseconds, percent } from '../../lib/format';
import { bestModel } from '../../lib/insights';
import { bucketsOf, rangeText, type Range } from '../../lib/range';
import { sortedBy } from '../../lib/sort';
import { keyName } from './metrics';
import { AnalyticsTabs } from './tabs';
import { TrendCard } from './trend-card';

const kUnknown = '–';

/** What to take away from the page. */
function Insights({ range }: { range: Range }) {
  const overview = useQuery(overviewQuery(range));
  const models = useQuery(modelUsageQuery(range));
  const now = overview.data?.current;
  const best = models.data && bestModel(models.data);
  const none = (failed: boolean) => (failed ? kUnknown : undefined);
  return (
    <div className="grid gap-3 sm:grid-cols-3 sm:gap-4">
      <Stat
        highlight
        label="Saved"
        icon={PiggyBank}
        value={now ? dollars(now.savings) : none(overview.isError)}
        note={now && `${percent(now.savings_pct / 100)} of the baseline, ${rangeText(range)}`}
      />
      <Stat
        label="Average hit rate"
        icon={Repeat2}
        value={now ? percent(now.cache_hit_rate) : none(overview.isError)}
        note={now && `${counted(now.cache_hits, 'answer')} from the cache`}
      />
      <Stat
        label="Best model"
        icon={Award}
        value={models.data ? (best?.model ?? kUnknown) : none(models.isError)}
        note={models.data && (best ? `Most quality per dollar: ${best.avg_quality.toFixed(1)} of 5 at ${dollars(best.avg_cost)}` : 'No answer was rated yet')}
      />
    </div>
  );
}

const kRanks = ['p50', 'p75', 'p90', 'p95', 'p99'] as const;

/** How long requests took; a bar is its part of the slowest. */
function LatencyStrip({ range }: { range: Range }) {
  const latency = useQuery(latencyQuery(range));
  return (
    <Widget
      className="mt-4"
      title="Latency percentiles"
      note={latency.data && `Of ${count(latency.data.count)} answered requests, hits included; mean ${milliseconds(latency.data.mean)}.`}
      query={latency}
      failure="The latencies could not be loaded"
      height={84}
      empty={(data) =>
        data.count > 0 ? undefined : (
          <EmptyState icon={Gauge} title="No answer in this time">
            Half of the requests are faster than p50, 99 of 100 faster than p99.
          </EmptyState>
        )
      }
    >
      {(data) => (
        <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-5">
          {kRanks.map((rank) => (
            <div key={rank} className="bg-panel p-3 last:max-sm:col-span-2">
              <dt className="text-xs font-medium text-ink-3">{rank}</dt>
              <dd className="mt-0.5 text-lg leading-7 font-semibold text-ink tabular-nums">{milliseconds(data[rank])}</dd>
              <dd aria-hidden className="mt-2 h-1.5 overflow-hidden rounded-full bg-sunken">
                <span className="block h-full rounded-full bg-accent" style={{ width: `${data.p99 > 0 ? Math.max(2, (data[rank] / data.p99) * 100) : 0}%` }} />
              </dd>
            </div>
          ))}
        </dl>
      )}
    </Widget>
  );
}

type Key = 'model' | 'requests' | 'total_cost' | 'avg_cost' | 'avg_quality' | 'hit_rate' | 'p50_latency_ms' | 'p95_latency_ms' | 'error_rate';

const kColumns: readonly { key: Key; name: string; text: (row: ModelUsage) => string }[] = [
  { key: 'requests', name: 'Requests', text: (row) => count(row.requests) },
  { key: 'total_cost', name: 'Cost', text: (row) => dollars(row.total_cost) },
  { key: 'avg_cost', name: 'Each', text: (row) => dollars(row.avg_cost) },
  { key: 'avg_quality', name: 'Quality', text: (row) => (row.avg_quality > 0 ? row.avg_quality.toFixed(2) : kUnknown) },
  { key: 'hit_rate', name: 'From cache', text: (row) => percent(row.hit_rate) },
  { key: 'p50_latency_ms', name: 'p50', text: (row) => milliseconds(row.p50_latency_ms) },
  { key: 'p95_latency_ms', name: 'p95', text: (row) => milliseconds(row.p95_latency_ms) },
  { key: 'error_rate', name: 'Failed', text: (row) => percent(row.error_rate) },
];

const noRequests = (
  <EmptyState
    icon={ScatterChart}
    title="No request in this time"
    action={
      <Button asChild>
        <Link to="/inference">Ask something</Link>
      </Button>
    }
  >
    Choose a longer range, or send a request and watch it arrive.
  </EmptyState>
);

function UsageTable({ models, range }: { models: readonly ModelUsage[]; range: Range }) {
  const [sort, setSort] = useState<Sort<Key>>({ key: 'requests', down: true });
  return (
    <Table label={`Model usage, ${rangeText(range)}`}>
      <thead>
        <tr>
          <SortTh by="model" sort={sort} onSort={setSort}>
            Model
          </SortTh>
          {kColumns.map(({ key, name }) => (
            <SortTh key={key} by={key} numeric sort={sort} onSort={setSort}>
              {name}
            </SortTh>
          ))}
        </tr>
      </thead>
      <tbody>
        {sortedBy(models, sort, (row, key) => row[key]).map((row) => (
          <tr key={row.model} className="hover:bg-sunken/60">
            <Td className="max-w-64 truncate font-medium whitespace-nowrap" title={row.model}>
              <Link to="/requests" search={{ model: row.model }} className="underline-offset-4 hover:underline">
                {keyName('model', row.model)}
              </Link>
            </Td>
            {kColumns.map(({ key, text }) => (
              <Td key={key} numeric>
                {text(row)}
              </Td>
            ))}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

const kMostDots = 30;

/** Cheap and good stands at the upper left. */
function QualityChart({ models }: { models: readonly ModelUsage[] }) {
  const rated = models.filter(({ avg_quality }) => avg_quality > 0).slice(0, kMostDots);
  const colours = coloursOf(rated.map(({ model }) => model));
  if (rated.length === 0) {
    return (
      <EmptyState icon={ScatterChart} title="No answer was rated yet">
        The gateway rates answers of models by itself once the quality check is on.
      </EmptyState>
    );
  }
  const least = Math.min(...rated.map(({ avg_quality }) => avg_quality));
  return (
    <DotsChart
      label="Quality against cost per request, by model"
      dotName="Model"
      xName="Cost per request"
      yName="Quality"
      xFormat={dollarsShort}
      yFormat={(value) => value.toFixed(1)}
      yDomain={[Math.max(0, Math.floor(least - 0.5)), 5]}
      dots={rated.map((row) => ({
        name: row.model,
        x: row.avg_cost,
        y: row.avg_quality,
        size: row.requests,
        colour: colours.get(row.model) ?? '',
        facts: [
          { name: 'Quality', text: row.avg_quality.toFixed(2) },
          { name: 'Cost per request', text: dollars(row.avg_cost) },
          { name: 'Requests', text: count(row.requests) },
        ],
      }))}
    />
  );
}

const kTierLines = [
  { key: 'all', name: 'All tiers', colour: 'var(--chart-1)' },
  { key: 't1', name: 'Exact', colour: 'var(--chart-2)' },
  { key: 't2', name: 'Semantic', colour: 'var(--chart-3)' },
  { key: 't3', name: 'Workflow', colour: 'var(--chart-4)' },
];

function CacheEffect({ range }: { range: Range }) {
  const cache = useQuery(cacheAnalyticsQuery(range));
  return (
    <Widget
      title="Cache effectiveness"
      note={cache.data ? `${dollars(cache.data.cost_saved)} saved; share of look-ups answered by each tier.` : 'Share of look-ups answered by each tier.'}
      query={cache}
      failure="The cache figures could not be loaded"
      height={340}
      empty={({ lookups }) => (lookups > 0 ? undefined : noRequests)}
    >
      {({ series, granularity, tier_1, tier_2, tier_3 }) => {
        const on = { all: true, t1: tier_1.enabled || tier_1.hits > 0, t2: tier_2.enabled || tier_2.hits > 0, t3: tier_3.enabled || tier_3.hits > 0 };
        const rows = series.map(({ timestamp, lookups, hit_rate, tier_1_hits, tier_2_hits, tier_3_hits }) => {
          const share = (hits: number) => (lookups > 0 ? hits / lookups : null);
          return { t: Date.parse(timestamp), all: lookups > 0 ? hit_rate : null, t1: share(tier_1_hits), t2: share(tier_2_hits), t3: share(tier_3_hits) };
        });
        return (
          <TimeChart
            label="Share of look-ups answered by each cache tier over time"
            rows={rows}
            lines={kTierLines.filter(({ key }) => on[key as keyof typeof on])}
            step={granularity === 'hour' ? 3_600_000 : 86_400_000}
            share
            height={280}
            format={(value) => `${Math.round(value * 100)}%`}
            exact={percent}
          />
        );
      }}
    </Widget>
  );
}

export function AnalyticsPage() {
  const [range, setRange] = useRange('30d');
  const caller = useCaller();
  const overview = useQuery(overviewQuery(range));
  const models = useQuery(modelUsageQuery(range));
  const buckets = bucketsOf(range, Date.now());
  return (
    <>
      <PageHeader
        title="Analytics"
        purpose="What the models cost, how good and how fast they are, and what the cache spares them."
        actions={<Refresh keys={['analytics']} updatedAt={overview.dataUpdatedAt} />}
      />
      <AnalyticsTabs range={range} />
      <div className="mb-4">
        <RangePicker range={range} onChange={setRange} options={['24h', '7d', '30d', 'custom']} />
      </div>
      <Insights range={range} />
      {may(caller, 'view_cost') && (
        <TrendCard
          className="mt-4"
          title={buckets.step < 86_400_000 ? 'Hourly cost by model' : 'Daily cost by model'}
          note={`What was paid, ${rangeText(range)}.`}
          metric="cost"
          group="model"
          buckets={buckets}
        />
      )}
      <div className="mt-4 grid gap-4 lg:grid-cols-2">
        <Widget
          title="Quality against cost"
          note="By model; a larger dot answered more requests. Up and to the left is better."
          query={models}
          failure="The models could not be loaded"
          height={340}
          skeleton={<Skeleton className="h-85" />}
          empty={(rows) => (rows.length > 0 ? undefined : noRequests)}
        >
          {(rows) => <QualityChart models={rows} />}
        </Widget>
        <CacheEffect range={range} />
      </div>
      <LatencyStrip range={range} />
      <Widget
        className="mt-4"
        title="Model usage"
        note="By the model that wrote the answer, hits of the cache included."
        query={models}
        failure="The models could not be loaded"
        skeleton={<SkeletonRows rows={5} />}
        empty={(rows) => (rows.length > 0 ? undefined : noRequests)}
      >
        {(rows) => <UsageTable models={rows} range={range} />}
      </Widget>
    </>
  );
}
