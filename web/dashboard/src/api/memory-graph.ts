/** What the page of the graph asks. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';

import { get, type Schemas } from './client';

export type Entity = Schemas['MemoryEntity'];
export type FoundEntity = Schemas['MemoryEntities']['entities'][number];
export type Neighbour = Schemas['MemoryNeighbours']['neighbors'][number];
export type Fact = Schemas['MemoryFact'];
export type FoundPath = Schemas['MemoryPath'];

/** From which moments one looks: what held then, as it was known then. Empty: now. */
export interface Moments {
  as_of?: string;
  known_at?: string;
}

const kFactsListed = 200;

export const graphSizeQuery = (moments: Moments) =>
  queryOptions({
    queryKey: ['memory', 'graph', 'size', moments],
    queryFn: ({ signal }) => get('/memory/graph/statistics', { query: { ...moments }, signal }),
    placeholderData: keepPreviousData,
  });

/** Entities by part of their key or name; without words those with the most edges. */
export const entitiesQuery = (words: string, limit: number, moments: Moments) =>
  queryOptions({
    queryKey: ['memory', 'graph', 'find', words, limit, moments],
    queryFn: ({ signal }) => get('/memory/graph/entities', { query: { ...moments, limit, ...(words ? { q: words } : {}) }, signal }),
    placeholderData: keepPreviousData,
  });

/** An entity with its facts; `ever`: also those that do not hold. */
export const entityQuery = (id: string, ever: boolean, moments: Moments) =>
  queryOptions({
    queryKey: ['memory', 'graph', 'entity', id, ever, moments],
    queryFn: ({ signal }) =>
      get('/memory/graph/entities/{id}', { values: { id }, query: { ...moments, facts: kFactsListed, which: ever ? 'ever' : 'held' }, signal }),
    // Of the same entity only: another one's facts would be wrong here.
    placeholderData: (previous) => (previous?.entity_id === id ? previous : undefined),
  });

export const neighboursQuery = (id: string, limit: number, moments: Moments) =>
  queryOptions({
    queryKey: ['memory', 'graph', 'around', id, limit, moments],
    queryFn: ({ signal }) => get('/memory/graph/entities/{id}/neighbors', { values: { id }, query: { ...moments, limit }, signal }),
    placeholderData: (previous) => (previous?.entity_id === id ? previous : undefined),
  });

export const pathQuery = (source_id: string, target_id: string, max_hops: number, moments: Moments) =>
  queryOptions({
    queryKey: ['memory', 'graph', 'path', source_id, target_id, max_hops, moments],
    queryFn: ({ signal }) => get('/memory/graph/path', { query: { ...moments, source_id, target_id, max_hops }, signal }),
  });
