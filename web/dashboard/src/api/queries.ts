/** What the pages read, with its cache key and refresh. Refreshing pauses while the page is hidden. */
import { queryOptions } from '@tanstack/react-query';

import { get, getHealth, getText } from './client';
import { ApiError } from './errors';
import { parseExposition } from './prometheus';

export const kRefreshMs = 30_000;
/** While there is nothing to show the first request should appear at once. */
const kEagerMs = 3_000;

export const metricsQuery = queryOptions({
  queryKey: ['metrics'],
  queryFn: ({ signal }) => get('/metrics', { signal }),
  refetchInterval: (query) => (query.state.data?.total_requests === 0 ? kEagerMs : kRefreshMs),
});

/** The Prometheus side of the metrics: distributions that the JSON totals do not have. */
export const seriesQuery = queryOptions({
  queryKey: ['metrics', 'series'],
  queryFn: async ({ signal }) => parseExposition(await getText('/metrics', { query: { format: 'prometheus' }, signal })),
  refetchInterval: kRefreshMs,
  structuralSharing: false,
});

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => getHealth(signal),
  refetchInterval: kRefreshMs,
});

export const providersQuery = queryOptions({
  queryKey: ['health', 'providers'],
  queryFn: ({ signal }) => get('/health/providers', { signal }),
  refetchInterval: kRefreshMs,
});

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: ({ signal }) => get('/models', { signal }),
  refetchInterval: 2 * kRefreshMs,
});

export const cacheStatsQuery = queryOptions({
  queryKey: ['cache', 'stats'],
  queryFn: ({ signal }) => get('/cache/stats', { signal }),
  refetchInterval: kRefreshMs,
});

export const cacheEntriesQuery = (limit: number) =>
  queryOptions({
    queryKey: ['cache', 'entries', limit],
    queryFn: ({ signal }) => get('/cache/entries', { query: { limit }, signal }),
    refetchInterval: kRefreshMs,
    placeholderData: (previous) => previous,
  });

/** A refusal will not change by asking again; an outage may. */
export const worthRetrying = (failures: number, error: unknown): boolean =>
  failures < 1 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);
