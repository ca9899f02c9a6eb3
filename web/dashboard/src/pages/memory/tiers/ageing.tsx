import { Badge, Button, Dialog, EmptyState, Field, Input, Notice, SectionCard, Select, SkeletonRows, Table, Td, Th, useToast, type Tone } from '@asahi/ui';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { History } from 'lucide-react';
import { Fragment, useState, type FormEvent } from 'react';

import { isUnderWay, migrationsQuery, startMigration, type Migration, type MigrationRequest } from '../../../api/memory';
import { Failure } from '../../../app/failure';
import { bytes, count, counted, dateTime, duration } from '../../../lib/format';
import { kMostDays, kSteps, requestOf, stepName, tookSeconds, type Choice } from './runs';

const tones: Record<Migration['state'], Tone> = { queued: 'neutral', running: 'info', done: 'ok', failed: 'bad' };
const memories = (number: number): string => counted(number, 'memory', 'memories');

/** How far the run is; `due`: what a dry run of the same counted, where there was one. */
function Progress({ run, due }: { run: Migration; due: number | undefined }) {
  const moved = run.records_migrated;
  const text = run.state === 'queued' ? 'Waits for its turn' : due ? `Running: ${count(moved)} of ${count(Math.max(due, moved))}` : `Running: ${count(moved)} so far`;
  return (
    <div className="rounded-lg border border-line bg-sunken p-3 text-sm">
      <p role="status" className="flex flex-wrap justify-between gap-x-4 text-ink tabular-nums">
        <span className="font-medium">{stepName(run)}</span>
        <span>
          {text}
          {run.errors > 0 && `, ${count(run.errors)} with errors`}, {bytes(run.bytes_freed)} freed
        </span>
      </p>
      <progress
        aria-label={`Progress of ${stepName(run)}`}
        className="mt-2 h-2 w-full overflow-hidden rounded-full accent-accent"
        {...(due && run.state === 'running' ? { value: Math.min(moved, due), max: due } : {})}
      />
    </div>
  );
}

function AskFirst({ choice, open, onOpenChange, onStarted }: { choice: Choice; open: boolean; onOpenChange: (open: boolean) => void; onStarted: () => void }) {
  const notify = useToast();
  const queries = useQueryClient();
  const start = useMutation({
    mutationFn: () => startMigration(requestOf(choice)),
    onSuccess: () => {
      notify('ok', 'The run is queued.');
      close(false);
      onStarted();
      void queries.invalidateQueries({ queryKey: ['memory'] });
    },
  });
  const close = (next: boolean) => {
    start.reset();
    onOpenChange(next);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={close}
      title="Age memories now?"
      description={`${stepName(requestOf(choice))}${choice.days === '' ? '' : `, from ${choice.days} days of age`}. What moves down keeps a summary and a smaller vector; its full text does not come back.`}
    >
      <div className="mt-5 space-y-4">
        {start.isError && <Failure title="No run was queued" error={start.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={() => close(false)}>Not now</Button>
          <Button look="primary" busy={start.isPending} onClick={() => start.mutate()}>
            Age now
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

interface ControlsProps {
  ages: { hot_days: number; warm_days: number };
  runs: readonly Migration[];
}

/** A run is tried dry, then begun; one of a kind at a time. */
function Controls({ ages, runs }: ControlsProps) {
  const queries = useQueryClient();
  const [choice, setChoice] = useState<Choice>({ step: 'hot', days: '' });
  const [asking, setAsking] = useState(false);
  const dry = useMutation({
    mutationFn: (request: Partial<MigrationRequest>) => startMigration({ ...request, dry_run: true }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: migrationsQuery.queryKey }),
  });
  const request = requestOf(choice);
  const usual = choice.step === 'hot' ? ages.hot_days : ages.warm_days;
  const days = Number(choice.days);
  const wrong = choice.days !== '' && !(Number.isInteger(days) && days >= 0 && days <= kMostDays);
  const busy = runs.some((run) => isUnderWay(run) && run.source_tier === request.source_tier);
  const change = (next: Partial<Choice>) => {
    dry.reset();
    setChoice({ ...choice, ...next });
  };
  const due = dry.data?.records_migrated;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!wrong) dry.mutate(request);
  };
  return (
    <>
      <form onSubmit={submit} className="flex flex-wrap items-end gap-3">
        <Field label="Step" className="w-full sm:w-44">
          {(ids) => (
            <Select {...ids} value={choice.step} onChange={(event) => change({ step: event.target.value as Choice['step'] })}>
              {kSteps.map(({ source, label }) => (
                <option key={source} value={source}>
                  {label}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="From age in days" className="w-full sm:w-44">
          {(ids) => (
            <Input
              {...ids}
              inputMode="numeric"
              autoComplete="off"
              aria-invalid={wrong}
              placeholder={`${usual}, as configured`}
              value={choice.days}
              onChange={(event) => change({ days: event.target.value.trim() })}
            />
          )}
        </Field>
        <Button type="submit" busy={dry.isPending} disabled={wrong}>
          Dry run
        </Button>
        <Button look="primary" disabled={wrong || busy} onClick={() => setAsking(true)}>
          Age now
        </Button>
      </form>
      {wrong && (
        <p role="alert" className="mt-2 text-sm text-bad-text">
          “{choice.days.slice(0, 20)}” is no whole number from 0 to {count(kMostDays)}.
        </p>
      )}
      {busy && <p className="mt-2 text-sm text-ink-3">A run of this step is under way; the next can begin when it has ended.</p>}
      {dry.isError && (
        <div className="mt-3">
          <Failure title="Nothing was counted" error={dry.error} onRetry={() => dry.mutate(request)} retrying={dry.isPending} />
        </div>
      )}
      {due !== undefined && (
        <div className="mt-3">
          <Notice tone="info">
            <span role="status">
              {due === 0 ? `Nothing is old enough to go from ${stepName(request)}.` : `${memories(due)} would go from ${stepName(request)}. Nothing was moved.`}
            </span>
          </Notice>
        </div>
      )}
      <AskFirst choice={choice} open={asking} onOpenChange={setAsking} onStarted={() => dry.reset()} />
    </>
  );
}

function RunTable({ runs }: { runs: readonly Migration[] }) {
  return (
    <Table label="Runs">
      <thead>
        <tr>
          <Th>Asked for</Th>
          <Th>From → to</Th>
          <Th>State</Th>
          <Th numeric>Moved</Th>
          <Th numeric>Freed</Th>
          <Th numeric>Errors</Th>
          <Th numeric>Took</Th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => {
          const took = tookSeconds(run);
          return (
            <Fragment key={run.id}>
              <tr>
                <Td className="whitespace-nowrap text-ink-2 tabular-nums">
                  {dateTime(run.requested_at)}
                  {run.scheduled && <span className="text-ink-3"> by the clock</span>}
                </Td>
                <Td className="whitespace-nowrap">{stepName(run)}</Td>
                <Td className="whitespace-nowrap">
                  <Badge tone={tones[run.state]} dot>
                    {run.state}
                  </Badge>
                  {run.dry_run && <Badge className="ml-1.5">dry run</Badge>}
                </Td>
                <Td numeric>{run.dry_run ? `${count(run.records_migrated)} due` : count(run.records_migrated)}</Td>
                <Td numeric>{run.dry_run ? '–' : bytes(run.bytes_freed)}</Td>
                <Td numeric className={run.errors > 0 ? 'text-bad-text' : ''}>
                  {count(run.errors)}
                </Td>
                <Td numeric>{took === undefined ? '–' : took < 1 ? '< 1 s' : duration(took)}</Td>
              </tr>
              {(run.error || run.errors > 0) && (
                <tr>
                  <Td colSpan={7} className="bg-sunken/60 whitespace-normal">
                    {run.error && <p className="max-w-3xl break-words text-bad-text">{run.error}</p>}
                    {run.errors > 0 && (
                      <p className="max-w-3xl text-ink-2">
                        The copies of {memories(run.errors)} were not what they should be; those stay in the {run.source_tier} tier, and the next run tries again.
                      </p>
                    )}
                  </Td>
                </tr>
              )}
            </Fragment>
          );
        })}
      </tbody>
    </Table>
  );
}

/** When memories go down by themselves, a run by hand, and what runs did. */
export function Ageing() {
  const query = useInfiniteQuery(migrationsQuery);
  const { data, isError, error, refetch, isFetching, hasNextPage, fetchNextPage, isFetchingNextPage } = query;
  const runs = data?.pages.flatMap(({ migrations }) => migrations) ?? [];
  const plan = data?.pages[0]?.plan;
  const dueOf = (run: Migration) => runs.find((other) => other.dry_run && other.source_tier === run.source_tier && other.cutoff_days === run.cutoff_days && other.requested_at <= run.requested_at)?.records_migrated;
  const failure = isError && (
    <Failure title={data ? 'The runs could not be asked for again' : 'The runs could not be loaded'} error={error} onRetry={() => void refetch()} retrying={isFetching} />
  );
  return (
    <>
      <SectionCard
        className="mt-4"
        title="Ageing"
        note={
          plan &&
          `From hot to warm after ${count(plan.hot_days)} days, from there to cold after ${count(plan.warm_days)}. ${plan.next_run ? `By itself next on ${dateTime(plan.next_run)}.` : 'Never by itself.'}`
        }
      >
        {failure}
        {plan ? <Controls ages={plan} runs={runs} /> : !isError && <SkeletonRows rows={2} />}
        {runs.filter(isUnderWay).map((run) => (
          <div key={run.id} className="mt-3">
            <Progress run={run} due={dueOf(run)} />
          </div>
        ))}
      </SectionCard>
      {!(isError && !data) && (
        <SectionCard className="mt-4" title="Runs" note="Newest first, of the last 90 days.">
          {!data ? (
            <SkeletonRows rows={3} />
          ) : runs.length === 0 ? (
            <EmptyState icon={History} title="No run yet">
              {plan?.next_run ? `The next begins by itself on ${dateTime(plan.next_run)}; a dry run above counts what it would move.` : 'A dry run above counts what one would move.'}
            </EmptyState>
          ) : (
            <RunTable runs={runs} />
          )}
          {hasNextPage && (
            <div className="mt-4 flex justify-center border-t border-line pt-4">
              <Button onClick={() => void fetchNextPage()} busy={isFetchingNextPage}>
                Load more
              </Button>
            </div>
          )}
        </SectionCard>
      )}
    </>
  );
}
