import { Badge, CopyButton, cx, EmptyState, SidePanel, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { SearchX } from 'lucide-react';
import type { ReactNode } from 'react';

import { eventQuery, traceQuery, type Event } from '../../api/analytics';
import { Failure } from '../../app/failure';
import { tierName } from '../../app/cache-mark';
import { WrongAnswer } from '../../app/wrong-answer';
import { count, counted, dateTime, dollars, latencyOf, percent } from '../../lib/format';
import { attributeOf } from '../../lib/spans';
import { TraceView } from './trace-view';

function Figure({ name, value, note, good = false }: { name: string; value: string; note: string; good?: boolean }) {
  return (
    <div className="min-w-0 bg-panel p-3">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd>
        <span className={cx('block truncate text-lg leading-7 font-semibold tabular-nums', good ? 'text-ok-text' : 'text-ink')}>{value}</span>
        <span className="block text-xs text-ink-3">{note}</span>
      </dd>
    </div>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid gap-x-4 py-2 sm:grid-cols-[8rem_minmax(0,1fr)]">
      <dt className="text-sm text-ink-3">{name}</dt>
      <dd className="text-sm break-words text-ink">{children}</dd>
    </div>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h3 className="mb-2 text-sm font-semibold text-ink">{title}</h3>
      {children}
    </section>
  );
}

/** What the verifier of tier 2 found between the two questions. */
const kVerdicts: Record<string, string> = {
  same: 'nothing speaks against the same meaning',
  empty: 'one of the two has no words',
  language: 'they are written in different languages',
  rest: 'their later parts differ',
  context: 'their system prompt, document or format differs',
  number: 'their numbers differ',
  code: 'their code differs',
  name: 'they name different things',
  class: 'they differ in a unit, place or the like',
  opposite: 'one says the opposite',
  negation: 'one is negated',
  direction: 'they go in opposite directions',
  question: 'they ask different things',
  length: 'one says much more than the other',
  words: 'too many of their words differ',
};

const kTierTexts: Record<number, string> = {
  0: 'No stored answer was served; a model wrote this one.',
  1: 'The same request had been answered before, word for word.',
  2: 'A stored question means the same, so its answer was served.',
  3: 'Steps of the answer were stored by an earlier request.',
};

/** Why the cache answered, or did not, with what tier 2 found. */
function CacheStory({ event }: { event: Event }) {
  const trace = useQuery(traceQuery(event.request_id)).data;
  const said = (name: string) => trace && attributeOf(trace.root, 'cache.semantic', `asahi.cache.${name}`);
  const similarity = Number(said('similarity') ?? event.cache_similarity ?? 0);
  const threshold = Number(said('threshold') ?? 0);
  const verdict = said('verdict');
  const entry = said('entry_id');
  const semantic = event.cache_tier === 2;
  return (
    <Section title="Cache">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1 text-sm text-ink">
        <Badge tone={event.cache_hit ? 'ok' : 'neutral'} dot>
          {event.cache_hit ? `${tierName(event.cache_tier)} hit` : 'Miss'}
        </Badge>
        {kTierTexts[event.cache_tier]}
      </p>
      {similarity > 0 && event.cache_tier !== 1 && (
        <div className="mt-3 rounded-lg border border-line p-3">
          <div className="flex justify-between gap-3 text-xs text-ink-2">
            <span>
              Similarity <strong className="font-semibold text-ink tabular-nums">{similarity.toFixed(3)}</strong>
            </span>
            {threshold > 0 && <span className="tabular-nums">{threshold.toFixed(3)} wanted</span>}
          </div>
          <div aria-hidden className="relative mt-2 h-2 rounded-full bg-sunken">
            <span className={cx('block h-full rounded-full', semantic ? 'bg-ok' : 'bg-line-strong')} style={{ width: `${Math.min(1, similarity) * 100}%` }} />
            {threshold > 0 && <span className="absolute -inset-y-1 w-0.5 rounded bg-ink" style={{ left: `${Math.min(1, threshold) * 100}%` }} />}
          </div>
          {verdict !== undefined && (
            <p className="mt-2 text-xs text-ink-3">
              Compared with the nearest stored question: {kVerdicts[String(verdict)] ?? String(verdict).replaceAll('_', ' ')}.
            </p>
          )}
        </div>
      )}
      {semantic && typeof entry === 'string' && (
        <div className="mt-3 text-sm">
          <WrongAnswer key={event.request_id} entryId={entry} />
        </div>
      )}
    </Section>
  );
}

function Facts({ event }: { event: Event }) {
  const share = event.baseline_cost > 0 ? event.savings / event.baseline_cost : 0;
  return (
    <dl aria-label="Figures" className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-4">
      <Figure name="Cost" value={dollars(event.cost)} note={event.cache_hit ? 'from the cache' : `baseline ${dollars(event.baseline_cost)}`} />
      <Figure name="Saved" value={dollars(event.savings)} note={`${percent(share)} of the baseline`} good={event.savings > 0} />
      <Figure name="Latency" value={latencyOf(event.latency_ms)} note={event.streamed ? 'streamed' : 'whole'} />
      <Figure
        name="Tokens"
        value={count(event.total_tokens)}
        note={event.tokens_saved > 0 ? `${count(event.tokens_saved)} saved` : `${count(event.input_tokens)} in, ${count(event.output_tokens)} out`}
      />
    </dl>
  );
}

function Story({ event }: { event: Event }) {
  return (
    <div className="space-y-6">
      {event.error && (
        <p role="alert" className="rounded-lg border border-bad/40 bg-bad-soft p-3 text-sm text-ink">
          <span className="font-semibold text-bad-text">Failed: </span>
          <code className="font-mono">{event.error}</code>
          {event.retries > 0 && ` after ${counted(event.retries, 'more try', 'more tries')}`}
        </p>
      )}
      <Facts event={event} />
      <Section title="Where the time went">
        <TraceView requestId={event.request_id} />
      </Section>
      <CacheStory event={event} />
      <Section title="How it was answered">
        <dl className="divide-y divide-line">
          <Line name="Model">
            {event.model_used ? (
              <>
                <span className="font-medium">{event.model_used}</span>
                {event.provider && <span className="text-ink-3"> by {event.provider}</span>}
              </>
            ) : (
              'none was reached'
            )}
          </Line>
          {event.routing_reason && <Line name="Why">{event.routing_reason}</Line>}
          <Line name="Routing">
            {event.routing_mode ?? '–'}
            {event.fallback_used && <Badge tone="warn" className="ml-2">fallback</Badge>}
            {event.retries > 0 && <span className="text-ink-3"> · {count(event.retries)} retried</span>}
          </Line>
          <Line name="Task">{event.task_type ?? '–'}</Line>
          <Line name="Quality">{event.quality_score ? `${event.quality_score.toFixed(2)} of 5` : 'not rated'}</Line>
          <Line name="User">{event.user_id ?? '–'}</Line>
          <Line name="API key">{event.api_key_prefix ? <code className="font-mono text-[13px]">{event.api_key_prefix}…</code> : '–'}</Line>
        </dl>
      </Section>
    </div>
  );
}

interface DetailProps {
  /** Absent: closed. */
  id: string | undefined;
  onClose: () => void;
}

/** All that is known of one request. */
export function RequestDetail({ id, onClose }: DetailProps) {
  const event = useQuery({ ...eventQuery(id ?? ''), enabled: Boolean(id) });
  const { data } = event;
  return (
    <SidePanel
      open={Boolean(id)}
      onOpenChange={(open) => !open && onClose()}
      title={
        <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <code className="font-mono text-base">{id}</code>
          {id && <CopyButton look="ghost" className="px-2 py-1 text-xs" text={id} label="Copy id" />}
        </span>
      }
      description={data ? `${dateTime(data.timestamp)}${data.event_type === 'inference' ? '' : ` · ${data.event_type}`}` : 'One request'}
    >
      {data ? (
        <Story event={data} />
      ) : data === null ? (
        <EmptyState icon={SearchX} title="No such request">
          Its events were removed by the retention of your organisation, or the id belongs to another one.
        </EmptyState>
      ) : event.isError ? (
        <Failure title="The request could not be loaded" error={event.error} onRetry={() => void event.refetch()} retrying={event.isFetching} />
      ) : (
        <SkeletonRows rows={8} />
      )}
    </SidePanel>
  );
}
