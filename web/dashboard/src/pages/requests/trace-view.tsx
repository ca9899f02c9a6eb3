import { Badge, Button, cx, EmptyState, Skeleton } from '@asahi/ui';
import { ChevronRight, Route } from 'lucide-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { traceQuery, type Span, type Trace } from '../../api/analytics';
import { Failure } from '../../app/failure';
import { milliseconds, millisecondsShort } from '../../lib/format';
import { spanRows, type SpanRow } from '../../lib/spans';

const kNames: Partial<Record<Span['stage'], string>> = {
  receive: 'Receive',
  parse: 'Parse',
  policy: 'Key, limits and policy',
  screen: 'Screening',
  'cache.idempotent': 'Idempotency',
  'cache.exact': 'Exact cache',
  'cache.semantic': 'Semantic cache',
  'cache.steps': 'Workflow cache',
  features: 'Features',
  tokens: 'Fewer tokens',
  routing: 'Routing',
  budget: 'Budget',
  dispatch: 'Dispatch',
  quality: 'Quality check',
  store: 'Store in the cache',
  reply: 'Reply',
  stream: 'Stream',
};

const kColours: Partial<Record<Span['stage'], string>> = {
  request: 'var(--chart-rest)',
  attempt: 'var(--chart-1)',
  dispatch: 'var(--chart-5)',
  stream: 'var(--chart-7)',
  'cache.exact': 'var(--chart-3)',
  'cache.semantic': 'var(--chart-3)',
  'cache.steps': 'var(--chart-3)',
  routing: 'var(--chart-4)',
};

const nameOf = (span: Span): string => kNames[span.stage] ?? span.name;

function Attributes({ span }: { span: Span }) {
  const pairs = Object.entries(span.attributes);
  if (pairs.length === 0) return <p className="text-xs text-ink-3">No attributes.</p>;
  return (
    <dl className="grid grid-cols-[minmax(0,2fr)_minmax(0,3fr)] gap-x-4 gap-y-1 text-xs">
      {pairs.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="font-mono break-all text-ink-3">{name}</dt>
          <dd className="break-words text-ink">{String(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Row({ row, open, onToggle }: { row: SpanRow; open: boolean; onToggle: () => void }) {
  const { span, depth, left, width, own } = row;
  const failed = span.status === 'error';
  return (
    <li>
      <button
        type="button"
        aria-expanded={open}
        onClick={onToggle}
        className="grid w-full grid-cols-[minmax(0,9.5rem)_minmax(0,1fr)_4.5rem] items-center gap-2 rounded py-1 text-left text-xs hover:bg-sunken/70 focus-visible:-outline-offset-2 sm:grid-cols-[minmax(0,13rem)_minmax(0,1fr)_5rem]"
      >
        <span className="flex min-w-0 items-center gap-1" style={{ paddingLeft: depth * 10 }}>
          <ChevronRight aria-hidden className={cx('size-3 shrink-0 text-ink-3 transition-transform duration-200', open && 'rotate-90')} />
          <span className={cx('truncate', depth === 0 ? 'font-semibold text-ink' : failed ? 'text-bad-text' : 'text-ink')} title={span.name}>
            {nameOf(span)}
          </span>
          {failed && <span className="sr-only">failed</span>}
        </span>
        <span aria-hidden className="relative block h-3.5 overflow-hidden rounded bg-sunken">
          <span
            className="absolute inset-y-0 rounded"
            style={{ left: `min(${left}%, calc(100% - 2px))`, width: `max(${width}%, 2px)`, background: failed ? 'var(--bad)' : (kColours[span.stage] ?? 'var(--chart-2)') }}
          />
        </span>
        <span className="text-right text-ink-2 tabular-nums">{milliseconds(span.duration_ms)}</span>
      </button>
      {open && (
        <div className="my-1.5 space-y-2 rounded-lg border border-line p-3">
          <p className="text-xs text-ink-2">
            <code className="font-mono">{span.name}</code> began after {milliseconds(Math.max(0, span.offset_ms))}, took {milliseconds(span.duration_ms)}
            {span.children.length > 0 && `, ${milliseconds(own)} of it by itself`}.
          </p>
          <Attributes span={span} />
        </div>
      )}
    </li>
  );
}

function Waterfall({ trace }: { trace: Trace }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const { rows, total } = spanRows(trace.root);
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  return (
    <>
      <div aria-hidden className="mb-1 grid grid-cols-[minmax(0,9.5rem)_minmax(0,1fr)_4.5rem] gap-2 text-[11px] text-ink-3 tabular-nums sm:grid-cols-[minmax(0,13rem)_minmax(0,1fr)_5rem]">
        <span />
        <span className="flex justify-between">
          <span>0</span>
          <span className="max-sm:hidden">{millisecondsShort(total / 2)}</span>
          <span>{millisecondsShort(total)}</span>
        </span>
        <span />
      </div>
      <ol aria-label="Stages of the call" className="space-y-0.5">
        {rows.map((row) => (
          <Row key={row.span.span_id} row={row} open={open.has(row.span.span_id)} onToggle={() => toggle(row.span.span_id)} />
        ))}
      </ol>
      <p className="mt-3 flex flex-wrap items-center gap-2 text-xs text-ink-3">
        Trace <code className="font-mono break-all">{trace.trace_id}</code>
        {trace.exported && <Badge tone="info">exported</Badge>}
        {open.size > 0 && (
          <Button look="ghost" className="px-2 py-0.5 text-xs" onClick={() => setOpen(new Set())}>
            Close all
          </Button>
        )}
      </p>
    </>
  );
}

/** Where the time of a call went. */
export function TraceView({ requestId }: { requestId: string }) {
  const trace = useQuery(traceQuery(requestId));
  if (trace.data) return <Waterfall trace={trace.data} />;
  if (trace.data === null) {
    return (
      <EmptyState icon={Route} title="Its stages are not remembered">
        The gateway keeps the stages of the last calls in memory; this one is older, or live traces are off.
      </EmptyState>
    );
  }
  if (trace.isError) return <Failure title="The trace could not be loaded" error={trace.error} onRetry={() => void trace.refetch()} retrying={trace.isFetching} />;
  return (
    <div role="status" aria-label="Loading" className="space-y-2">
      {[100, 30, 55, 80, 40].map((width) => (
        <Skeleton key={width} className="h-4" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
