import { Button, Card, EmptyState, Field, Input, SectionCard, SkeletonRows, Stat } from '@asahi/ui';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { CircleHelp, Link2, ScrollText, Shapes, Waypoints } from 'lucide-react';

import { ApiError } from '../../../api/errors';
import { entitiesQuery, entityQuery, graphSizeQuery, type Moments } from '../../../api/memory-graph';
import { Failure } from '../../../app/failure';
import { PageHeader } from '../../../app/page-header';
import { Refresh } from '../../../app/refresh';
import { count, counted } from '../../../lib/format';
import { graphAddressOf, graphChoiceOf, momentsOf, nameOf, typeOf, type GraphChoice } from '../../../lib/graph-search';
import { FirstMemory } from '../first-memory';
import { Around, EntityHead } from './around';
import { EntitySearch } from './entity-search';
import { PathCard } from './path-card';

const kBestKnown = 12;
const kTypesShown = 3;

/** How large the graph is at the moments that are looked at. */
function Size({ moments }: { moments: Moments }) {
  const size = useQuery(graphSizeQuery(moments));
  const { data } = size;
  const most = (types: Record<string, number> | undefined) =>
    Object.entries(types ?? {})
      .sort(([, a], [, b]) => b - a)
      .slice(0, kTypesShown)
      .map(([type, number]) => `${count(number)} ${type.replaceAll('_', ' ')}`)
      .join(', ');
  if (size.isError && !data) return <Failure title="The size of the graph could not be asked" error={size.error} onRetry={() => void size.refetch()} retrying={size.isFetching} />;
  return (
    <div className="grid grid-cols-1 gap-3 sm:grid-cols-3 sm:gap-4">
      <Stat label="Entities" icon={Shapes} value={data && count(data.total_entities)} note={most(data?.entities_by_type) || 'none yet'} />
      <Stat label="Links" icon={Link2} value={data && count(data.total_edges)} note={most(data?.edges_by_type) || 'none yet'} />
      <Stat label="Facts" icon={ScrollText} value={data && count(data.total_facts)} note="each with the memory that states it" />
    </div>
  );
}

/** Where to begin: the entities with the most links. */
function BestKnown({ moments, onOpen }: { moments: Moments; onOpen: (id: string) => void }) {
  const found = useQuery(entitiesQuery('', kBestKnown, moments));
  const { data } = found;
  return (
    <SectionCard className="mt-4" title="Best known" note="The entities with the most links.">
      {!data ? (
        found.isError ? (
          <Failure title="The entities could not be loaded" error={found.error} onRetry={() => void found.refetch()} retrying={found.isFetching} />
        ) : (
          <SkeletonRows rows={4} />
        )
      ) : data.total === 0 ? (
        <FirstMemory icon={Waypoints} title={moments.as_of || moments.known_at ? 'Nothing was known then' : 'Nothing is known yet'}>
          Entities and facts are read out of what memories say and of their metadata: user, project, tags. They appear a moment after a memory is sent.
        </FirstMemory>
      ) : (
        <ul aria-label="Best known" className="grid gap-2 sm:grid-cols-2 lg:grid-cols-3">
          {data.entities.map((entity) => (
            <li key={entity.entity_id} className="min-w-0">
              <button
                type="button"
                title={entity.entity_id}
                onClick={() => onOpen(entity.entity_id)}
                className="flex w-full items-baseline gap-2 rounded-lg border border-line px-3 py-2 text-left text-sm hover:border-line-strong hover:bg-sunken"
              >
                <span className="min-w-0 flex-1 truncate font-medium text-ink">{nameOf(entity.entity_id, entity.properties?.['name'] as string | undefined)}</span>
                <span className="shrink-0 text-xs text-ink-3 tabular-nums">
                  {typeOf(entity.entity_id)}, {counted(entity.total_neighbors, 'link')}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </SectionCard>
  );
}

function Chosen({ choice, id, go }: { choice: GraphChoice; id: string; go: (choice: GraphChoice) => void }) {
  const moments = momentsOf(choice);
  const entity = useQuery(entityQuery(id, choice.ever, moments));
  const { data } = entity;
  const open = (next: string) => {
    const { to: _, ...rest } = choice;
    go({ ...rest, id: next });
  };
  if (!data) {
    if (!entity.isError)
      return (
        <Card className="mt-4">
          <SkeletonRows rows={8} />
        </Card>
      );
    if (entity.error instanceof ApiError && entity.error.status === 404) {
      return (
        <Card className="mt-4">
          <EmptyState
            icon={CircleHelp}
            title={`Nothing is known of ${id}`}
            action={
              <Button onClick={() => go({ hops: choice.hops, ever: choice.ever, ...(choice.at || choice.known ? { id } : {}) })}>
                {choice.at || choice.known ? 'Look at it now' : 'Show the best known'}
              </Button>
            }
          >
            No memory speaks of it{choice.at || choice.known ? ' at the moments that are looked at' : ''}.
          </EmptyState>
        </Card>
      );
    }
    return (
      <div className="mt-4">
        <Failure title="The entity could not be loaded" error={entity.error} onRetry={() => void entity.refetch()} retrying={entity.isFetching} />
      </div>
    );
  }
  const change = ({ to, hops }: { to?: string | undefined; hops?: number }) => {
    const { to: before, ...rest } = choice;
    const next = to ?? (hops === undefined ? undefined : before);
    go({ ...rest, ...(hops === undefined ? {} : { hops }), ...(next ? { to: next } : {}) });
  };
  return (
    <div className="mt-4 space-y-4">
      {entity.isError && <Failure title="The entity could not be asked for again" error={entity.error} onRetry={() => void entity.refetch()} retrying={entity.isFetching} />}
      <EntityHead id={id} entity={data} />
      <Around key={id} id={id} entity={data} ever={choice.ever} moments={moments} onEver={(ever) => go({ ...choice, ever })} onOpen={open} />
      <PathCard id={id} name={nameOf(id, data.properties?.['name'] as string | undefined)} to={choice.to} hops={choice.hops} moments={moments} onChange={change} onOpen={open} />
    </div>
  );
}

/** Who and what the memories speak of, and how that hangs together over time. */
export function GraphPage() {
  const choice = graphChoiceOf(useSearch({ strict: false }) as Record<string, unknown>);
  const navigate = useNavigate();
  const moments = momentsOf(choice);
  const size = useQuery(graphSizeQuery(moments));
  const go = (next: GraphChoice) => void navigate({ to: '.', search: (() => graphAddressOf(next)) as never, resetScroll: next.id !== choice.id });
  const day = (name: 'at' | 'known') => (value: string) => {
    const { [name]: _, ...rest } = choice;
    go(value ? { ...rest, [name]: value } : rest);
  };
  const { at: _at, known: _known, ...now } = choice;
  const { id: _id, to: _to, ...nobody } = choice;
  return (
    <>
      <PageHeader title="Graph" purpose="Who and what the memories speak of, and how that hangs together over time." actions={<Refresh keys={['memory']} updatedAt={size.dataUpdatedAt} />} />
      <Card>
        <div className="flex flex-wrap gap-x-4">
          <EntitySearch label="Entity" placeholder="A name, or type:key" moments={moments} className="w-full min-w-0 sm:w-auto sm:min-w-64 sm:flex-1" onPick={(id) => go({ ...nobody, id })} />
          <Field label="As of" className="mb-5 w-full min-[400px]:w-36 min-[400px]:flex-1 sm:flex-none">
            {(ids) => <Input {...ids} type="date" title="What held at the end of this day (UTC)" value={choice.at ?? ''} onChange={(event) => day('at')(event.target.value)} />}
          </Field>
          <Field label="Known at" className="mb-5 w-full min-[400px]:w-36 min-[400px]:flex-1 sm:flex-none">
            {(ids) => <Input {...ids} type="date" title="What was known here at the end of this day (UTC)" value={choice.known ?? ''} onChange={(event) => day('known')(event.target.value)} />}
          </Field>
        </div>
        <div className="flex flex-wrap items-center gap-2 text-sm text-ink-2">
          <p>
            {choice.at ? `What held on ${choice.at}` : 'What holds now'}, {choice.known ? `as it was known on ${choice.known}` : 'as it is known now'}.
          </p>
          {(choice.at || choice.known) && <Button onClick={() => go(now)}>Back to now</Button>}
          {choice.id && <Button onClick={() => go(nobody)}>Best known</Button>}
        </div>
      </Card>
      {choice.id ? (
        <Chosen choice={choice} id={choice.id} go={go} />
      ) : (
        <>
          <div className="mt-4">
            <Size moments={moments} />
          </div>
          <BestKnown moments={moments} onOpen={(id) => go({ ...choice, id })} />
        </>
      )}
    </>
  );
}
