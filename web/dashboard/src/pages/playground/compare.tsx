import { Badge, Button, CopyButton, EmptyState, SectionCard } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { Columns3, Plus, X } from 'lucide-react';
import { useEffect, useState } from 'react';

import type { Question } from '../../api/ask';
import { modelsQuery } from '../../api/queries';
import { count, dollars, milliseconds } from '../../lib/format';
import { Text, tierName, Trouble } from './answer';
import { ModelPick, QuestionForm } from './question-form';
import { useRun, type Run } from './use-run';
import { winnersOf } from './winners';

const kMost = 3;

/** Kept while other pages are looked at. */
let chosen: readonly string[] = ['', ''];

const kStates: Record<Run['state'], string> = { waiting: 'waiting', streaming: 'answering', done: 'done', failed: 'failed', cancelled: 'cancelled' };

function Figures({ run }: { run: Run }) {
  const { facts } = run;
  const figures = [
    ['Cost', facts ? dollars(facts.cost) : '…'],
    ['Whole time', run.totalMs === undefined ? '…' : milliseconds(run.totalMs)],
    ['First word', run.firstTextMs === undefined ? '–' : milliseconds(run.firstTextMs)],
    ['Tokens out', facts?.tokensOut === undefined ? '–' : count(facts.tokensOut)],
  ] as const;
  return (
    <dl className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line">
      {figures.map(([name, value]) => (
        <div key={name} className="bg-panel px-3 py-2">
          <dt className="text-xs text-ink-3">{name}</dt>
          <dd className="font-semibold text-ink tabular-nums">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ColumnProps {
  model: string;
  run: Run;
  cheapest: boolean;
  fastest: boolean;
  onRetry: () => void;
}

function Column({ model, run, cheapest, fastest, onRetry }: ColumnProps) {
  return (
    <SectionCard
      title={model}
      actions={
        <>
          {cheapest && <Badge tone="ok">Cheapest</Badge>}
          {fastest && <Badge tone="info">Fastest</Badge>}
          {run.facts?.cacheHit && <Badge tone="accent">{tierName(run.facts.cacheTier)}</Badge>}
          <span role="status" className="sr-only">
            {model}: {kStates[run.state]}
          </span>
        </>
      }
    >
      <div className="space-y-4">
        <Text run={run} />
        <Trouble run={run} onRetry={onRetry} />
        <Figures run={run} />
        {run.text && <CopyButton text={run.text} label="Copy answer" />}
      </div>
    </SectionCard>
  );
}

interface CompareProps {
  question: Question;
  onChange: (change: Partial<Question>) => void;
}

/** Two or three models get the same prompt at the same time. */
export function Compare({ question, onChange }: CompareProps) {
  const runs = [useRun(), useRun(), useRun()] as const;
  const { data } = useQuery(modelsQuery);
  const [models, setModels] = useState(chosen);
  const [fresh, setFresh] = useState(true);
  const [asked, setAsked] = useState<readonly string[]>([]);
  const change = (next: readonly string[]) => {
    chosen = next;
    setModels(next);
  };

  // A cheap and a dear model to begin with.
  const some = models.some(Boolean);
  useEffect(() => {
    if (some || !data) return;
    const usable = data.models
      .filter((model) => model.supports.includes('chat') && model.availability !== 'unavailable')
      .sort((a, b) => a.cost_per_1k_output - b.cost_per_1k_output);
    const [first, last] = [usable[0]?.name, usable.at(-1)?.name];
    if (first && last && first !== last) change([first, last]);
  }, [data, some]);

  const running = runs.some((one) => one.running);
  const questionFor = (model: string): Question => ({ ...question, mode: 'explicit', model, vendorKey: undefined, bypassCache: fresh || question.bypassCache });
  const send = () => {
    setAsked(models);
    models.forEach((model, place) => void runs[place]?.start(questionFor(model)));
    for (const unused of runs.slice(models.length)) unused.clear();
  };
  const winners = winnersOf(asked.map((_, place) => runs[place]?.run));
  const doubled = new Set(models).size < models.length;

  return (
    <>
      <QuestionForm
        question={{ ...question, bypassCache: fresh || question.bypassCache }}
        onChange={(next) => {
          if (next.bypassCache !== undefined) setFresh(next.bypassCache);
          onChange(next);
        }}
        onSend={send}
        onCancel={() => runs.forEach((one) => one.cancel())}
        running={running}
        unready={models.some((model) => !model) || doubled}
        models={
          <div className="grid items-end gap-3 sm:grid-cols-[repeat(3,minmax(0,1fr))]">
            {models.map((model, place) => (
              <div key={place} className="flex items-end gap-1">
                <div className="min-w-0 flex-1">
                  <ModelPick label={`Model ${place + 1}`} value={model} onChange={(next) => change(models.map((old, at) => (at === place ? next : old)))} />
                </div>
                {models.length > 2 && (
                  <Button look="ghost" size="icon" aria-label={`Leave out model ${place + 1}`} disabled={running} onClick={() => change(models.filter((_, at) => at !== place))}>
                    <X aria-hidden className="size-4" />
                  </Button>
                )}
              </div>
            ))}
            {models.length < kMost && (
              <Button className="justify-self-start" disabled={running} onClick={() => change([...models, ''])}>
                <Plus aria-hidden className="size-4" />
                Add a model
              </Button>
            )}
            {doubled && <p className="text-sm text-bad-text sm:col-span-3">Choose different models.</p>}
          </div>
        }
      />
      {asked.length === 0 ? (
        <SectionCard className="mt-4" title="Answers">
          <EmptyState icon={Columns3} title="Nothing compared yet">
            Choose two or three models and send one prompt to all of them: answers, cost and time stand side by side.
          </EmptyState>
        </SectionCard>
      ) : (
        <div className={`mt-4 grid items-start gap-4 md:grid-cols-2 ${asked.length > 2 ? 'xl:grid-cols-3' : ''}`} data-testid="answers">
          {asked.map((model, place) => {
            const one = runs[place];
            if (!one?.run) return null;
            return (
              <Column
                key={model}
                model={model}
                run={one.run}
                cheapest={winners.cheapest === place}
                fastest={winners.fastest === place}
                onRetry={() => void one.start(questionFor(model))}
              />
            );
          })}
        </div>
      )}
    </>
  );
}
