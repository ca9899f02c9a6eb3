import { Badge, Button, EmptyState, SectionCard, Skeleton, SwitchRow, Table, Td, Th } from '@asahi/ui';
import { useQueries, useQuery } from '@tanstack/react-query';
import { CircleDashed } from 'lucide-react';
import { useMemo, useState } from 'react';

import { neighboursQuery, type Entity, type Fact, type Moments, type Neighbour } from '../../../api/memory-graph';
import { Failure } from '../../../app/failure';
import { count, counted, dateOnly } from '../../../lib/format';
import { kMostNodes, trimmed, type Drawing as Graph } from '../../../lib/graph-layout';
import { nameOf, relation, typeOf } from '../../../lib/graph-search';
import { MemoryPanel, type MemoryId } from '../search/memory-panel';
import { Drawing } from './drawing';
import { Facts } from './facts';

const kSteps = [50, 150, kMostNodes - 1] as const;
const kAroundOthers = 20;
const kFactsShown = 12;

/** What is drawn: the entity, what is around it and around those that were opened, and what held once. */
function graphOf(centre: string, name: string, around: readonly (readonly [string, readonly Neighbour[]])[], ended: readonly Fact[]): Graph {
  const nodes = new Map([[centre, { id: centre, name, type: typeOf(centre) }]]);
  const edges = new Map<string, Graph['edges'][number]>();
  const add = (id: string, called: string | null | undefined) => void (nodes.has(id) || nodes.set(id, { id, name: nameOf(id, called), type: typeOf(id) }));
  for (const [from, neighbours] of around) {
    for (const { entity_id: id = '', name: called, edge_type: type = '', direction, weight = 1 } of neighbours) {
      add(id, called);
      const [start, end] = direction === 'in' ? [id, from] : [from, id];
      edges.set(`${start} ${type} ${end}`, { from: start, to: end, type, weight, holds: true });
    }
  }
  for (const { from, to, type, from_name, to_name, weight = 1 } of ended) {
    add(from, from_name);
    add(to, to_name);
    const key = `${from} ${type} ${to}`;
    if (!edges.has(key)) edges.set(key, { from, to, type, weight, holds: false });
  }
  return trimmed({ nodes: [...nodes.values()], edges: [...edges.values()] });
}

function NeighbourTable({ neighbours, onOpen }: { neighbours: readonly Neighbour[]; onOpen: (id: string) => void }) {
  return (
    <Table label="Neighbours">
      <thead>
        <tr>
          <Th>Relation</Th>
          <Th>Entity</Th>
          <Th>Type</Th>
          <Th numeric>Weight</Th>
          <Th numeric>Facts</Th>
          <Th>Since</Th>
          <Th>Until</Th>
        </tr>
      </thead>
      <tbody>
        {neighbours.map(({ entity_id: id = '', name, edge_type, direction, weight, facts, since, until }) => (
          <tr key={`${edge_type} ${direction} ${id}`} className="hover:bg-sunken/60">
            <Td className="whitespace-nowrap text-ink-2">
              <span aria-hidden>{direction === 'in' ? '← ' : '→ '}</span>
              <span className="sr-only">{direction === 'in' ? 'from it: ' : 'to it: '}</span>
              {relation(edge_type ?? '')}
            </Td>
            <Td className="max-w-64 min-w-28">
              <button type="button" title={id} onClick={() => onOpen(id)} className="block max-w-full truncate rounded font-medium text-ink underline decoration-line-strong underline-offset-4 hover:decoration-ink">
                {nameOf(id, name)}
              </button>
            </Td>
            <Td className="text-ink-2">{typeOf(id)}</Td>
            <Td numeric>{Number((weight ?? 0).toPrecision(4))}</Td>
            <Td numeric>{count(facts ?? 0)}</Td>
            <Td className="whitespace-nowrap text-ink-2 tabular-nums">{since ? dateOnly(since) : '–'}</Td>
            <Td className="whitespace-nowrap text-ink-2 tabular-nums">{until ? dateOnly(until) : 'on'}</Td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

interface AroundProps {
  id: string;
  entity: Entity;
  ever: boolean;
  moments: Moments;
  onEver: (ever: boolean) => void;
  onOpen: (id: string) => void;
}

/** Drawing, neighbours and facts of one entity. */
export function Around({ id, entity, ever, moments, onEver, onOpen }: AroundProps) {
  const [step, setStep] = useState(0);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const [memory, setMemory] = useState<MemoryId>();
  const [allFacts, setAllFacts] = useState(false);
  const around = useQuery(neighboursQuery(id, kSteps[step] ?? kSteps[0], moments));
  const others = useQueries({ queries: [...opened].map((other) => neighboursQuery(other, kAroundOthers, moments)) });
  const name = nameOf(id, entity.properties?.['name'] as string | undefined);
  const neighbours = around.data?.neighbors;
  const loaded = others.flatMap(({ data }) => (data ? [[data.entity_id, data.neighbors] as const] : []));
  // The queries are a new list each time; what they hold is not.
  const loadedKey = others.map(({ dataUpdatedAt }) => dataUpdatedAt).join();
  const graph = useMemo(
    () => graphOf(id, name, [...(neighbours ? [[id, neighbours] as const] : []), ...loaded], entity.facts.filter(({ holds }) => !holds)),
    [id, name, neighbours, loadedKey, entity.facts],
  );
  const expand = (other: string) => setOpened(new Set([...opened, other]));
  const shownFacts = allFacts ? entity.facts : entity.facts.slice(0, kFactsShown);
  const total = around.data?.total_neighbors ?? 0;
  const more = neighbours && neighbours.length < total && step < kSteps.length - 1;
  return (
    <>
      <SectionCard title="Neighbours" note={neighbours ? `${count(neighbours.length)} of ${count(total)}, the heaviest first.` : undefined}>
        {neighbours ? (
          graph.nodes.length === 1 ? (
            <EmptyState icon={CircleDashed} title="Nothing is around it">
              No fact about it holds at the moments that are looked at.{ever ? '' : ' “Also what does not hold” shows what held once.'}
            </EmptyState>
          ) : (
            <>
              <div className="mb-4 max-sm:hidden">
                <Drawing key={id} graph={graph} opened={opened} onOpen={onOpen} onExpand={expand} />
              </div>
              {neighbours.length > 0 && <NeighbourTable neighbours={neighbours} onOpen={onOpen} />}
              {more && (
                <div className="mt-4 flex justify-center">
                  <Button onClick={() => setStep(step + 1)} busy={around.isFetching}>
                    More
                  </Button>
                </div>
              )}
            </>
          )
        ) : around.isError ? (
          <Failure title="The neighbours could not be loaded" error={around.error} onRetry={() => void around.refetch()} retrying={around.isFetching} />
        ) : (
          <div role="status" aria-label="Loading neighbours">
            <Skeleton className="mb-4 h-96 rounded-lg max-sm:hidden" />
            <Skeleton className="h-40" />
          </div>
        )}
      </SectionCard>
      <SectionCard
        title="Facts"
        note={`${count(entity.facts.length)} ${ever ? 'ever recorded' : 'that hold'}${moments.as_of || moments.known_at ? ' at these moments' : ''}.`}
      >
        <div className="mb-4 max-w-md">
          <SwitchRow label="Also what does not hold" hint="Superseded, contradicted, taken back, or yet to come." checked={ever} onChange={onEver} />
        </div>
        {entity.facts.length === 0 ? (
          <p className="text-sm text-ink-3">None.</p>
        ) : (
          <Facts facts={shownFacts} centre={id} onOpen={onOpen} onMemory={setMemory} />
        )}
        {shownFacts.length < entity.facts.length && (
          <div className="mt-4 flex justify-center border-t border-line pt-4">
            <Button onClick={() => setAllFacts(true)}>Show {count(entity.facts.length - shownFacts.length)} more</Button>
          </div>
        )}
      </SectionCard>
      <MemoryPanel id={memory} onClose={() => setMemory(undefined)} />
    </>
  );
}

/** One entity: its name, who speaks of it, and how large its surroundings are. */
export function EntityHead({ id, entity }: { id: string; entity: Entity }) {
  const systems = entity.systems ?? [];
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
      <h2 className="min-w-0 text-lg font-semibold break-words text-ink">{nameOf(id, entity.properties?.['name'] as string | undefined)}</h2>
      <Badge tone="accent">{typeOf(id)}</Badge>
      <code className="min-w-0 font-mono text-xs break-all text-ink-3">{id}</code>
      <p className="w-full text-sm text-ink-2">
        {counted(entity.total_neighbors ?? 0, 'link')}
        {systems.length > 0 && `, named in ${systems.slice(0, 5).join(', ')}${systems.length > 5 ? ` and ${count(systems.length - 5)} more systems` : ''}`}
      </p>
    </div>
  );
}

