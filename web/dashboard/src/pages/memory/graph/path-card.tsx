import { Button, EmptyState, Field, SectionCard, Select, SkeletonRows } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { ArrowDown, Unlink } from 'lucide-react';

import { neighboursQuery, pathQuery, type FoundPath, type Moments } from '../../../api/memory-graph';
import { Failure } from '../../../app/failure';
import { kHops, nameOf, relation, typeOf } from '../../../lib/graph-search';
import { EntitySearch } from './entity-search';

interface PathCardProps {
  id: string;
  name: string;
  to: string | undefined;
  hops: number;
  moments: Moments;
  onChange: (change: { to?: string | undefined; hops?: number }) => void;
  onOpen: (id: string) => void;
}

function Chain({ found, onOpen }: { found: FoundPath; onOpen: (id: string) => void }) {
  return (
    <ol aria-label="Path" className="text-sm">
      {found.path?.map((id, index) => (
        <li key={id}>
          {index > 0 && (
            <p className="flex items-center gap-2 py-1 pl-3 text-xs text-ink-3">
              <ArrowDown aria-hidden className="size-3.5" />
              {relation(found.edge_types?.[index - 1] ?? '')}
            </p>
          )}
          <button type="button" title={id} onClick={() => onOpen(id)} className="flex max-w-full items-baseline gap-2 rounded-lg border border-line-strong px-3 py-1.5 text-left hover:bg-sunken">
            <span className="min-w-0 truncate font-medium text-ink">{nameOf(id, found.names?.[index])}</span>
            <span className="shrink-0 text-xs text-ink-3">{typeOf(id)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

function Found({ id, to, hops, moments, onOpen }: { id: string; to: string; hops: number; moments: Moments; onOpen: (id: string) => void }) {
  const path = useQuery(pathQuery(id, to, hops, moments));
  const { data } = path;
  // Only then it matters whether there is such an entity at all.
  const other = useQuery({ ...neighboursQuery(to, 1, moments), enabled: data?.path_found === false });
  if (!data) {
    return path.isError ? <Failure title="No path could be looked for" error={path.error} onRetry={() => void path.refetch()} retrying={path.isFetching} /> : <SkeletonRows rows={3} />;
  }
  if (data.path_found) return <Chain found={data} onOpen={onOpen} />;
  return (
    <EmptyState icon={Unlink} title={other.data?.known === false ? `Nothing is known of ${to}` : `No path within ${hops} steps`}>
      {other.data?.known === false ? 'No memory speaks of it at the moments that are looked at.' : 'More steps may find one; there may also be none.'}
    </EmptyState>
  );
}

/** How two entities hang together. */
export function PathCard({ id, name, to, hops, moments, onChange, onOpen }: PathCardProps) {
  return (
    <SectionCard
      title="Path"
      note={to ? `The shortest from ${name} to ${nameOf(to)}.` : `How ${name} hangs together with another entity.`}
      actions={to && <Button onClick={() => onChange({ to: undefined })}>Clear</Button>}
    >
      <div className="flex flex-wrap gap-x-3">
        <EntitySearch label="Path to" placeholder="Another entity" moments={moments} className="min-w-48 flex-1" onPick={(other) => onChange({ to: other })} />
        <Field label="Steps at most" className="w-28">
          {(ids) => (
            <Select {...ids} value={hops} onChange={(event) => onChange({ hops: Number(event.target.value) })}>
              {kHops.map((number) => (
                <option key={number} value={number}>
                  {number}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      {to && <Found id={id} to={to} hops={hops} moments={moments} onOpen={onOpen} />}
    </SectionCard>
  );
}
