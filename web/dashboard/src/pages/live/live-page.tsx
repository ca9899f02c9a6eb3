import { Badge, BarList, Button, EmptyState, SectionCard, SkeletonRows, Stat, Table, Td, Th, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Activity, Coins, Gauge, Pause, Play, Radio, Repeat2 } from 'lucide-react';
import { useCallback, useRef, useState } from 'react';

import { recentQuery } from '../../api/analytics';
import { CacheMark } from '../../app/cache-mark';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { Widget } from '../../app/widget';
import { clockTime, count, countShort, dollars, latencyOf, milliseconds, percent } from '../../lib/format';
import { LiveWindow, type Figures } from '../../lib/live';
import { TrafficCanvas } from './traffic-canvas';
import { useStream, type StreamState } from './use-stream';

const kFiguresEveryMs = 250;
const kListEveryMs = 1_000;
const kListed = 15;
const kModels = 6;

const states: Record<StreamState['kind'], [Tone, string]> = {
  connecting: ['neutral', 'Connecting'],
  live: ['ok', 'Live'],
  waiting: ['warn', 'Connection lost'],
  refused: ['bad', 'Not available'],
};

function Counters({ figures }: { figures: Figures | undefined }) {
  const answered = figures && figures.requests - figures.errors;
  return (
    <div className="grid grid-cols-2 gap-3 sm:gap-4 lg:grid-cols-4" data-testid="counters">
      <Stat highlight label="Requests per second" icon={Activity} value={figures && (figures.rate >= 10 ? countShort(figures.rate) : figures.rate.toFixed(1))} note={figures && `${count(figures.total)} since the page was opened`} />
      <Stat label="From the cache" icon={Repeat2} value={figures && (answered ? percent(figures.hits / answered) : '–')} note={figures && `${count(figures.hits)} of ${count(answered ?? 0)} in the last minute`} />
      <Stat label="Paid per minute" icon={Coins} value={figures && dollars(figures.cost)} note={figures && `${dollars(figures.totalSavings)} saved since opened`} />
      <Stat label="Median latency" icon={Gauge} value={figures && (figures.p50 === undefined ? '–' : milliseconds(figures.p50))} note={figures && (figures.errors === 0 ? 'None failed' : `${count(figures.errors)} failed in the last minute`)} />
    </div>
  );
}

const kLegend = [
  { name: 'From the cache', colour: 'var(--chart-3)' },
  { name: 'From a model', colour: 'var(--chart-2)' },
  { name: 'Failed', colour: 'var(--bad)' },
];

function LastRequests({ paused }: { paused: boolean }) {
  const recent = useQuery({ ...recentQuery(kListed), enabled: !paused });
  return (
    <Widget
      title="Last requests"
      note="The newest of them; the explorer has all."
      query={recent}
      failure="The last requests could not be loaded"
      height={420}
      skeleton={<SkeletonRows rows={10} />}
      empty={(events) =>
        events.length > 0 ? undefined : (
          <EmptyState
            icon={Radio}
            title="Nothing has come in yet"
            action={
              <Button asChild>
                <Link to="/inference">Ask something</Link>
              </Button>
            }
          >
            Requests appear here as they are answered.
          </EmptyState>
        )
      }
    >
      {(events) => (
        <Table label="Last requests">
          <thead>
            <tr>
              <Th>Time</Th>
              <Th>Model</Th>
              <Th>Cache</Th>
              <Th numeric>Cost</Th>
              <Th numeric>Latency</Th>
            </tr>
          </thead>
          <tbody>
            {events.map((event) => (
              <tr key={event.event_id} className="hover:bg-sunken/60">
                <Td className="py-2 tabular-nums">
                  <Link to="/requests" search={{ id: event.request_id }} className="text-ink-2 underline-offset-4 hover:underline" title={event.request_id}>
                    {clockTime(Date.parse(event.timestamp))}
                  </Link>
                </Td>
                <Td className="max-w-44 truncate py-2 font-medium" title={event.model_used}>
                  {event.model_used || '–'}
                </Td>
                <Td className="py-2">{event.error ? <Badge tone="bad">{event.error}</Badge> : <CacheMark tier={event.cache_tier} />}</Td>
                <Td numeric className="py-2">
                  {dollars(event.cost)}
                </Td>
                <Td numeric className="py-2">
                  {latencyOf(event.latency_ms)}
                </Td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </Widget>
  );
}

/** Requests as they are answered. What comes in is added up; the picture is drawn once a frame, the figures four times a second. */
export function LivePage() {
  const [live] = useState(() => new LiveWindow());
  const [figures, setFigures] = useState<Figures>();
  const [paused, setPaused] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const shownAt = useRef(0);
  const listedAt = useRef(0);
  const list = useQuery({ ...recentQuery(kListed), enabled: !paused });
  const { refetch } = list;

  const onSummary = useCallback(() => {
    const now = Date.now();
    if (now - listedAt.current < kListEveryMs) return;
    listedAt.current = now;
    // The list is read a moment later, when the events are in the database.
    setTimeout(() => void refetch({ cancelRefetch: false }), kListEveryMs);
  }, [refetch]);
  const onFrame = useCallback(
    (time: number) => {
      const now = performance.now();
      if (now - shownAt.current < kFiguresEveryMs) return;
      shownAt.current = now;
      setFigures(live.figures(time));
    },
    [live],
  );
  const state = useStream(live, attempt, onSummary);
  const [tone, word] = paused ? (['warn', 'Paused'] as const) : states[state.kind];
  const models = figures?.models.slice(0, kModels) ?? [];
  return (
    <>
      <PageHeader
        title="Live"
        purpose="Requests as they are answered, on this node."
        actions={
          <>
            <span role="status">
              <Badge dot tone={tone}>
                {word}
              </Badge>
            </span>
            <Button onClick={() => setPaused(!paused)} aria-pressed={paused} disabled={state.kind === 'refused'}>
              {paused ? <Play aria-hidden className="size-4" /> : <Pause aria-hidden className="size-4" />}
              {paused ? 'Resume' : 'Pause'}
            </Button>
          </>
        }
      />
      {(state.kind === 'refused' || state.kind === 'waiting') && (
        <div className="mb-4">
          <Failure
            title={state.kind === 'refused' ? 'The stream is not available' : 'The stream broke off; it will be tried again'}
            error={state.error}
            onRetry={() => setAttempt(attempt + 1)}
          />
        </div>
      )}
      <Counters figures={figures} />
      <SectionCard
        className="mt-4"
        title="Last minute"
        actions={
          <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-ink-2">
            {kLegend.map(({ name, colour }) => (
              <li key={name} className="flex items-center gap-1.5">
                <span aria-hidden className="size-2.5 rounded-sm" style={{ background: colour }} />
                {name}
              </li>
            ))}
          </ul>
        }
      >
        <TrafficCanvas window={live} paused={paused} onFrame={onFrame} />
      </SectionCard>
      <div className="mt-4 grid items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
        <LastRequests paused={paused} />
        <SectionCard title="Models" note="Requests in the last minute.">
          {models.length > 0 ? (
            <BarList
              label="Requests by model in the last minute"
              rows={models.map(({ name, requests }) => ({ name: name || 'None reached', amount: requests, text: count(requests), share: percent(requests / Math.max(1, figures?.requests ?? 1)) }))}
            />
          ) : (
            <p className="py-6 text-center text-sm text-ink-3">Nothing in the last minute.</p>
          )}
        </SectionCard>
      </div>
    </>
  );
}
