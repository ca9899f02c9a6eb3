import { cx, Notice, Table, Td, Th } from '@asahi/ui';
import type { ReactNode } from 'react';

import type { Facts, Similar } from '../../api/ask';
import { WrongAnswer } from '../../app/wrong-answer';
import { count, dollars, milliseconds, percent } from '../../lib/format';
import type { Run } from './use-run';

function Figure({ name, value, note, strong = false }: { name: string; value: string; note: string; strong?: boolean }) {
  return (
    <div className="min-w-0 bg-panel p-3">
      <dt className="text-xs text-ink-3">{name}</dt>
      <dd>
        <span className={cx('block truncate text-lg leading-7 font-semibold tabular-nums', strong ? 'text-ok-text' : 'text-ink')}>{value}</span>
        <span className="block truncate text-xs text-ink-3" title={note}>
          {note}
        </span>
      </dd>
    </div>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="grid gap-x-4 py-2 sm:grid-cols-[7.5rem_minmax(0,1fr)]">
      <dt className="text-sm text-ink-3">{name}</dt>
      <dd className="text-sm break-words text-ink">{children}</dd>
    </div>
  );
}

function latencyNote(facts: Facts, run: Run): string {
  if (facts.latencyMs === undefined) {
    return run.question.stream && run.firstTextMs !== undefined ? `first word after ${milliseconds(run.firstTextMs)}` : 'measured here';
  }
  if (facts.cacheHit || facts.vendorMs === undefined) return 'no vendor asked';
  return `vendor ${milliseconds(facts.vendorMs)}`;
}

function SimilarNote({ similar }: { similar: Similar }) {
  return (
    <span className="block text-ink-3">
      similarity {similar.similarity.toFixed(2)}, {similar.threshold.toFixed(2)} wanted · {similar.reason}
      {similar.expectedError < 1 && ` · wrong in at most ${percent(similar.expectedError)} of such cases`}
    </span>
  );
}

const kMostAlternatives = 4;

function Alternatives({ rows }: { rows: NonNullable<Facts['alternatives']> }) {
  return (
    <details className="rounded-lg border border-line">
      <summary className="rounded-lg px-3 py-2.5 text-sm font-medium text-ink">Cheaper models for the same request</summary>
      <div className="overflow-hidden border-t border-line px-4 sm:px-6">
        <Table label="Alternatives">
          <thead>
            <tr>
              <Th>Model</Th>
              <Th numeric>Estimated cost</Th>
              <Th numeric>Quality</Th>
              <Th numeric>Saves</Th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, kMostAlternatives).map((row) => (
              <tr key={row.model}>
                <Td className="font-medium">{row.model}</Td>
                <Td numeric>{dollars(row.estimated_cost)}</Td>
                <Td numeric>{row.estimated_quality.toFixed(1)}</Td>
                <Td numeric>{percent(row.savings_percent / 100)}</Td>
              </tr>
            ))}
          </tbody>
        </Table>
      </div>
    </details>
  );
}

/** What the gateway did for this answer, and what it cost. */
export function FactList({ facts, run }: { facts: Facts; run: Run }) {
  const latency = facts.latencyMs ?? run.totalMs;
  const tokens = facts.tokensIn !== undefined && facts.tokensOut !== undefined;
  return (
    <div className="space-y-4">
      <dl aria-label="Figures" className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line xl:grid-cols-4">
        <Figure name="Cost" value={dollars(facts.cost)} note={facts.cacheHit ? 'from the cache' : `baseline ${dollars(facts.baselineCost)}`} />
        <Figure
          name="Saved"
          value={dollars(facts.saved)}
          note={`${percent(facts.savedPercent / 100)} of the baseline`}
          strong={facts.saved > 0}
        />
        <Figure name="Latency" value={latency === undefined ? '…' : milliseconds(latency)} note={latencyNote(facts, run)} />
        <Figure
          name="Tokens"
          value={tokens ? count((facts.tokensIn ?? 0) + (facts.tokensOut ?? 0)) : '–'}
          note={tokens ? `${count(facts.tokensIn ?? 0)} in, ${count(facts.tokensOut ?? 0)} out` : 'not reported'}
        />
      </dl>
      {facts.warnings.length > 0 && (
        <Notice tone="warn">
          <ul className="space-y-1">
            {facts.warnings.map((warning) => (
              <li key={warning} className="break-words">
                {warning}
              </li>
            ))}
          </ul>
        </Notice>
      )}
      <dl aria-label="Facts" className="divide-y divide-line">
        <Line name="Model">
          <span className="font-medium">{facts.model}</span> <span className="text-ink-3">by {facts.provider}</span>
        </Line>
        <Line name="Why">{facts.reason}</Line>
        <Line name="Routing">
          {facts.mode}
          {facts.task && <span className="text-ink-3"> · task {facts.task}</span>}
        </Line>
        {facts.cachedQuery && (
          <Line name={facts.cacheHit ? 'Stored question' : 'Nearest stored'}>
            {facts.cachedQuery}
            {facts.similar && <SimilarNote similar={facts.similar} />}
          </Line>
        )}
        {facts.cacheHit && facts.entryId && (
          <Line name="Right?">
            <WrongAnswer key={facts.requestId} entryId={facts.entryId} />
          </Line>
        )}
        <Line name="Request id">
          <code className="font-mono text-[13px]">{facts.requestId}</code>
          {facts.finish && facts.finish !== 'stop' && <span className="text-ink-3"> · ended by {facts.finish}</span>}
        </Line>
      </dl>
      {facts.alternatives && facts.alternatives.length > 0 && <Alternatives rows={facts.alternatives} />}
    </div>
  );
}
