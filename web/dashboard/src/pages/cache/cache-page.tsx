import { Button, EmptyState, Notice, SectionCard, Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ChartColumn, Equal, HardDrive, Layers, Repeat2, Spline, Workflow } from 'lucide-react';

import { cacheAnalyticsQuery } from '../../api/analytics';
import type { Schemas } from '../../api/client';
import { cacheStatsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { HitRateCard } from '../../app/hit-rate-card';
import { PageHeader } from '../../app/page-header';
import { RangePicker, useRange } from '../../app/range-picker';
import { Refresh } from '../../app/refresh';
import { Widget } from '../../app/widget';
import { BarsChart } from '../../charts/charts';
import { bytes, count, countShort, dollars, milliseconds, percent } from '../../lib/format';
import { rangeText, type Range } from '../../lib/range';
import { Actions } from './actions';
import { EntriesCard } from './entries-card';

type Semantic = NonNullable<Schemas['CacheStats']['semantic']>;

/** How the bound on wrong answers is doing. */
function SemanticCard({ semantic }: { semantic: Semantic }) {
  const { questions, estimated_wrong: wrong, error_bound: bound, checked } = semantic;
  const share = questions === 0 ? 0 : wrong / questions;
  const facts = [
    ['Wrong answers allowed', percent(bound)],
    ['Estimated', questions === 0 ? 'nothing asked yet' : `${percent(share)} of ${count(questions)} questions`],
    ['Checked against the model', count(checked)],
    ['Found by', `${semantic.embedder}, ${semantic.index}`],
  ] as const;
  return (
    <SectionCard className="mt-4" title="Questions that mean the same" note="Hits by meaning are held to an error bound; some are checked against the model.">
      <dl className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt className="text-sm text-ink-3">{name}</dt>
            <dd className="mt-0.5 font-medium text-ink tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
    </SectionCard>
  );
}

const kTiers = [
  { tier: 'tier_1', name: 'Tier 1 hits', short: 'Exact', icon: Equal, colour: 'var(--chart-2)' },
  { tier: 'tier_2', name: 'Tier 2 hits', short: 'Semantic', icon: Spline, colour: 'var(--chart-3)' },
  { tier: 'tier_3', name: 'Tier 3 hits', short: 'Workflow', icon: Workflow, colour: 'var(--chart-4)' },
] as const;

const storeNote = ({ backend, degraded }: Schemas['CacheStats']): string =>
  degraded ? 'Redis cannot be reached' : backend === 'redis' ? 'In Redis, shared by all instances' : 'In the memory of the gateway';

function Tiles({ range }: { range: Range }) {
  const stats = useQuery(cacheStatsQuery);
  const figures = useQuery(cacheAnalyticsQuery(range));
  const { data: store } = stats;
  const { data } = figures;
  const unknown = (failed: boolean) => (failed ? '–' : undefined);
  return (
    <div className="grid grid-cols-2 gap-3 sm:gap-4 md:grid-cols-3">
      <Stat
        highlight
        label="Hit rate"
        icon={Repeat2}
        value={data ? (data.lookups > 0 ? percent(data.overall_hit_rate) : '–') : unknown(figures.isError)}
        note={data && `${count(data.hits)} of ${count(data.lookups)} look-ups, ${dollars(data.cost_saved)} saved`}
      />
      <Stat
        label="Entries"
        icon={Layers}
        value={store ? countShort(store.entries + (store.semantic?.entries ?? 0)) : unknown(stats.isError)}
        note={store && (store.semantic ? `${count(store.semantic.entries)} of them found by meaning` : `${count(store.evictions)} evicted`)}
      />
      <Stat label="Storage used" icon={HardDrive} value={store ? bytes(store.bytes) : unknown(stats.isError)} note={store && storeNote(store)} />
      {kTiers.map(({ tier, name, short, icon }) => {
        const one = data?.[tier];
        const off = one && !one.enabled && one.hits === 0;
        return (
          <Stat
            key={tier}
            label={name}
            icon={icon}
            value={one ? (off ? 'Off' : countShort(one.hits)) : unknown(figures.isError)}
            note={one && (off ? `${short}: not switched on` : `${short}: ${data.hits > 0 ? percent(one.hits / data.hits) : '0%'} of all hits`)}
          />
        );
      })}
    </div>
  );
}

function TierBars({ range }: { range: Range }) {
  const figures = useQuery(cacheAnalyticsQuery(range));
  return (
    <Widget
      title="Hits by tier"
      note={`A request asks the tiers in this order, ${rangeText(range)}.`}
      query={figures}
      failure="The tiers could not be loaded"
      height={280}
      empty={({ hits }) =>
        hits > 0 ? undefined : (
          <EmptyState
            icon={ChartColumn}
            title="No hit in this time"
            action={
              <Button asChild>
                <Link to="/inference">Ask something twice</Link>
              </Button>
            }
          >
            The second time the same question is asked, the cache answers it for nothing.
          </EmptyState>
        )
      }
    >
      {(data) => (
        <BarsChart
          label="Hits by cache tier"
          columns={['Tier', 'Hits']}
          format={countShort}
          whole
          bars={kTiers.map(({ tier, short, colour }) => ({
            name: short,
            value: data[tier].hits,
            colour,
            text: `hit rate ${percent(data[tier].hit_rate)}, ${milliseconds(data[tier].avg_latency_ms)} each, ${dollars(data[tier].cost_saved)} saved`,
          }))}
        />
      )}
    </Widget>
  );
}

export function CachePage() {
  const stats = useQuery(cacheStatsQuery);
  const [range, setRange] = useRange('7d');
  const { data } = stats;
  return (
    <>
      <PageHeader
        title="Cache"
        purpose="Answers kept for identical requests, and for questions that mean the same. A hit costs nothing and takes no vendor."
        actions={
          <>
            <RangePicker range={range} onChange={setRange} options={['24h', '7d', '30d']} />
            <Refresh keys={['cache', 'analytics']} updatedAt={stats.dataUpdatedAt} />
          </>
        }
      />
      {stats.isError && (
        <div className="mb-4">
          <Failure title="The cache could not be read" error={stats.error} onRetry={() => void stats.refetch()} retrying={stats.isFetching} />
        </div>
      )}
      {data?.degraded && (
        <div className="mb-4">
          <Notice tone="warn">Redis is configured but cannot be reached; each instance keeps its own answers until it is back.</Notice>
        </div>
      )}
      <Tiles range={range} />
      <div className="mt-4 grid gap-4 lg:grid-cols-2">
        <TierBars range={range} />
        <HitRateCard range={range} title="Hit rate over time" />
      </div>
      {data?.semantic && <SemanticCard semantic={data.semantic} />}
      <EntriesCard actions={<Actions entries={data && data.entries + (data.semantic?.entries ?? 0)} />} />
    </>
  );
}
