import { Badge, Button, EmptyState, Field, Input, SectionCard, Select, SkeletonRows, SortTh, Table, Td, Th, type Sort, type Tone } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { SearchX } from 'lucide-react';
import { useDeferredValue, useState } from 'react';

import type { Schemas } from '../../api/client';
import { modelsQuery } from '../../api/queries';
import { Failure } from '../../app/failure';
import { PageHeader } from '../../app/page-header';
import { Refresh } from '../../app/refresh';
import { countShort, milliseconds, pricePerMillion } from '../../lib/format';
import { sortedBy } from '../../lib/sort';
import { kNoFilter, matches, type Filter } from './filter';
import { TaskTable } from './task-table';

type Model = Schemas['Model'];
type Key = 'name' | 'provider' | 'input' | 'output' | 'context' | 'quality' | 'latency' | 'availability';

const tones: Record<Model['availability'], Tone> = { available: 'ok', degraded: 'warn', unavailable: 'neutral' };
const ranks: Record<Model['availability'], number> = { available: 0, degraded: 1, unavailable: 2 };

function valueOf(model: Model, key: Key): string | number {
  switch (key) {
    case 'name':
      return model.name;
    case 'provider':
      return model.provider;
    case 'input':
      return model.cost_per_1k_input;
    case 'output':
      return model.cost_per_1k_output;
    case 'context':
      return model.max_input_tokens;
    case 'quality':
      return model.quality;
    case 'latency':
      return model.latency_ms;
    case 'availability':
      return ranks[model.availability];
  }
}

const unique = (values: readonly string[]): string[] => [...new Set(values)].sort();

interface FilterBarProps {
  models: readonly Model[];
  filter: Filter;
  onChange: (filter: Filter) => void;
}

function FilterBar({ models, filter, onChange }: FilterBarProps) {
  const choose = (name: 'provider' | 'capability' | 'availability', label: string, any: string, values: readonly string[]) => (
    <Field label={label} hideLabel className="min-w-36 flex-1 sm:flex-none">
      {(ids) => (
        <Select {...ids} value={filter[name]} onChange={(event) => onChange({ ...filter, [name]: event.target.value })}>
          <option value="">{any}</option>
          {values.map((value) => (
            <option key={value}>{value}</option>
          ))}
        </Select>
      )}
    </Field>
  );
  return (
    <div className="mb-4 flex flex-wrap gap-2" role="search" aria-label="Models">
      <Field label="Search models" hideLabel className="w-full sm:w-72">
        {(ids) => (
          <Input
            {...ids}
            type="search"
            placeholder="Search name or description"
            value={filter.text}
            onChange={(event) => onChange({ ...filter, text: event.target.value })}
          />
        )}
      </Field>
      {choose('provider', 'Provider', 'All providers', unique(models.map((model) => model.provider)))}
      {choose('capability', 'Capability', 'Any capability', unique(models.flatMap((model) => model.supports)))}
      {choose('availability', 'Availability', 'Any state', unique(models.map((model) => model.availability)))}
    </div>
  );
}

function ModelTable({ models }: { models: readonly Model[] }) {
  const [sort, setSort] = useState<Sort<Key>>({ key: 'provider', down: false });
  const heading = { sort, onSort: setSort };
  return (
    <Table label="Models with prices and limits">
      <thead>
        <tr>
          <SortTh by="name" {...heading}>
            Model
          </SortTh>
          <SortTh by="provider" {...heading}>
            Provider
          </SortTh>
          <SortTh by="input" numeric {...heading}>
            Input
          </SortTh>
          <SortTh by="output" numeric {...heading}>
            Output
          </SortTh>
          <SortTh by="context" numeric {...heading}>
            Context
          </SortTh>
          <SortTh by="quality" numeric {...heading}>
            Quality
          </SortTh>
          <SortTh by="latency" numeric {...heading}>
            Latency
          </SortTh>
          <Th>Capabilities</Th>
          <SortTh by="availability" {...heading}>
            State
          </SortTh>
        </tr>
      </thead>
      <tbody>
        {sortedBy(models, sort, valueOf).map((model) => (
          <tr key={model.name} className="hover:bg-sunken/60">
            <Td className="min-w-48">
              <span className="block font-medium whitespace-nowrap">{model.name}</span>
              {model.description && <span className="block text-xs text-ink-3">{model.description}</span>}
            </Td>
            <Td className="text-ink-2">{model.provider}</Td>
            <Td numeric>{pricePerMillion(model.cost_per_1k_input)}</Td>
            <Td numeric>{model.supports.includes('chat') ? pricePerMillion(model.cost_per_1k_output) : '–'}</Td>
            <Td numeric title={`${model.max_input_tokens} tokens in all, ${model.max_output_tokens} of them answer`}>
              {countShort(model.max_input_tokens)}
            </Td>
            <Td numeric>{model.quality > 0 ? model.quality.toFixed(1) : '–'}</Td>
            <Td numeric>{model.latency_ms > 0 ? milliseconds(model.latency_ms).replace('.0 ms', ' ms') : '–'}</Td>
            <Td className="min-w-44 text-xs text-ink-2">{model.supports.join(', ')}</Td>
            <Td>
              <Badge tone={tones[model.availability]} dot>
                {model.availability}
              </Badge>
            </Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

export function ModelsPage() {
  const models = useQuery(modelsQuery);
  const [filter, setFilter] = useState(kNoFilter);
  const applied = useDeferredValue(filter);
  const all = models.data?.models ?? [];
  const shown = all.filter((model) => matches(model, applied));
  return (
    <>
      <PageHeader
        title="Models"
        purpose="What the gateway can choose from. Prices in US dollars per million tokens."
        actions={<Refresh keys={['models']} updatedAt={models.dataUpdatedAt} />}
      />
      {models.isError && (
        <div className="mb-4">
          <Failure title="The models could not be loaded" error={models.error} onRetry={() => void models.refetch()} retrying={models.isFetching} />
        </div>
      )}
      {(models.data || models.isPending) && (
        <SectionCard
          title="Registry"
          note={models.data ? <span role="status">{`${shown.length} of ${all.length} models`}</span> : 'Loading'}
        >
          {models.isPending ? (
            <SkeletonRows rows={12} />
          ) : all.length === 0 ? (
            <EmptyState icon={SearchX} title="The registry is empty">
              Add models to the models file of the gateway and send it SIGHUP.
            </EmptyState>
          ) : (
            <>
              <FilterBar models={all} filter={filter} onChange={setFilter} />
              {shown.length > 0 ? (
                <ModelTable models={shown} />
              ) : (
                <EmptyState icon={SearchX} title="No model matches" action={<Button onClick={() => setFilter(kNoFilter)}>Clear the filter</Button>} />
              )}
            </>
          )}
        </SectionCard>
      )}
      {models.data && <TaskTable defaults={models.data.default_constraints} />}
    </>
  );
}
