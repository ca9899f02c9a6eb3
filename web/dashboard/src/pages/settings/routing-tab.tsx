import { Button, Field, SectionCard, SkeletonRows, Slider, useToast } from '@asahi/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';

import { put, type Schemas } from '../../api/client';
import { weightsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { percent } from '../../lib/format';
import { EffectiveList, HowToChange } from './effective';

type Weights = Required<Schemas['RoutingWeights']>;

const kFactors = [
  { name: 'quality', label: 'Quality', hint: 'How good the model answers.' },
  { name: 'cost', label: 'Cost', hint: 'How little it charges.' },
  { name: 'complexity_match', label: 'Fit', hint: 'Neither too weak nor too strong for the question.' },
  { name: 'latency', label: 'Latency', hint: 'How fast it usually is.' },
  { name: 'health', label: 'Health', hint: 'How well its vendor does now.' },
  { name: 'budget', label: 'Budget', hint: 'Cheaper ones when money gets short.' },
] as const;

const kUsual: Weights = { quality: 0.4, cost: 0.25, complexity_match: 0.15, latency: 0.1, health: 0.05, budget: 0.05 };

function WeightsForm({ loaded }: { loaded: Weights }) {
  const [weights, setWeights] = useState(loaded);
  const queries = useQueryClient();
  const notify = useToast();
  const saving = useMutation({
    mutationFn: (next: Weights) => put('/routing/weights', next),
    onSuccess: (saved) => {
      queries.setQueryData(weightsQuery.queryKey, saved);
      notify('ok', 'The weights are saved; they count from the next request on.');
    },
  });
  const sum = kFactors.reduce((total, { name }) => total + weights[name], 0);
  const same = (other: Weights) => kFactors.every(({ name }) => weights[name] === other[name]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (sum > 0 && !same(loaded) && !saving.isPending) saving.mutate(weights);
  };
  return (
    <form onSubmit={submit} aria-label="Routing weights">
      <div className="grid gap-x-8 gap-y-4 sm:grid-cols-2 lg:grid-cols-3">
        {kFactors.map(({ name, label, hint }) => (
          <Field key={name} label={label} hint={hint} aside={`${weights[name]} · ${sum > 0 ? percent(weights[name] / sum) : '–'}`}>
            {(ids) => <Slider {...ids} min={0} max={1} step={0.05} value={weights[name]} onChange={(event) => setWeights({ ...weights, [name]: Number(event.target.value) })} />}
          </Field>
        ))}
      </div>
      {sum === 0 && <p className="mt-4 text-sm text-bad-text">At least one must count.</p>}
      {saving.isError && (
        <div className="mt-4">
          <Failure title="The weights were not saved" error={saving.error} />
        </div>
      )}
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <Button look="ghost" disabled={same(kUsual)} onClick={() => setWeights(kUsual)}>
          Usual weights
        </Button>
        <Button disabled={same(loaded)} onClick={() => setWeights(loaded)}>
          Undo changes
        </Button>
        <Button type="submit" look="primary" disabled={same(loaded) || sum === 0} busy={saving.isPending}>
          Save weights
        </Button>
      </div>
    </form>
  );
}

export function RoutingTab() {
  const weights = useQuery(weightsQuery);
  const loaded = weights.data && { ...kUsual, ...weights.data.weights };
  return (
    <>
      <SectionCard
        title="What counts when a model is chosen"
        note={
          <>
            Of your organisation, for the strategy <code className="font-mono text-[13px]">multifactor</code>; the others do not weigh.
            {weights.data?.is_default && ' These are the usual weights.'}
          </>
        }
      >
        {weights.isError && !weights.data ? (
          <Failure title="The weights could not be read" error={weights.error} onRetry={() => void weights.refetch()} retrying={weights.isFetching} />
        ) : !loaded ? (
          <SkeletonRows rows={3} />
        ) : (
          <WeightsForm key={JSON.stringify(loaded)} loaded={loaded} />
        )}
      </SectionCard>
      <SectionCard className="mt-4" title="Mode, thresholds and fallback" note={<HowToChange />}>
        <EffectiveList sections={['routing', 'quality', 'batching']} />
      </SectionCard>
    </>
  );
}
