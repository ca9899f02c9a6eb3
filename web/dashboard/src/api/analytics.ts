/** What the analytics pages read. Each query stands under the key `analytics`, so that one button refreshes all. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';

import { bucketsOf, granularityOf, windowOf, type Buckets, type Range } from '../lib/range';
import { get, type Schemas } from './client';
import { ApiError } from './errors';
import { kRefreshMs } from './queries';

export type Event = Schemas['InferenceEvent'];
export type ModelUsage = Schemas['ModelUsage'];
export type Trace = Schemas['Trace'];
export type Span = Schemas['TraceSpan'];

/** While there is nothing to show the first request should appear at once. */
const kEagerMs = 3_000;
const common = { refetchInterval: kRefreshMs, placeholderData: keepPreviousData } as const;
const withGrain = (range: Range) => ({ ...windowOf(range), granularity: granularityOf(range, Date.now()) });

export const overviewQuery = (range: Range) =>
  queryOptions({
    queryKey: ['analytics', 'overview', range],
    queryFn: async ({ signal }) => (await get('/analytics/overview', { query: withGrain(range), signal })).data,
    ...common,
    refetchInterval: (query) => (query.state.data?.current.requests === 0 ? kEagerMs : kRefreshMs),
  });

export const savingsQuery = (range: Range) =>
  queryOptions({
    queryKey: ['analytics', 'savings', range],
    queryFn: async ({ signal }) => (await get('/analytics/savings', { query: withGrain(range), signal })).data,
    ...common,
  });

export const cacheAnalyticsQuery = (range: Range) =>
  queryOptions({
    queryKey: ['analytics', 'cache', range],
    queryFn: async ({ signal }) => (await get('/analytics/cache', { query: withGrain(range), signal })).data,
    ...common,
  });

export const modelUsageQuery = (range: Range) =>
  queryOptions({
    queryKey: ['analytics', 'models', range],
    queryFn: async ({ signal }) => (await get('/analytics/models', { query: { ...windowOf(range), sort_by: 'cost' }, signal })).data,
    ...common,
  });

export const latencyQuery = (range: Range) =>
  queryOptions({
    queryKey: ['analytics', 'latency', range],
    queryFn: async ({ signal }) => (await get('/analytics/latency-percentiles', { query: windowOf(range), signal })).data,
    ...common,
  });

export const kGroups = ['model', 'task_type', 'user', 'tier', 'api_key', 'provider'] as const;
export type Group = (typeof kGroups)[number];

export const costQuery = (range: Range, group: Group) =>
  queryOptions({
    queryKey: ['analytics', 'cost', range, group],
    queryFn: async ({ signal }) => (await get('/analytics/cost-breakdown', { query: { ...windowOf(range), group_by: group, limit: 100 }, signal })).data,
    ...common,
  });

export const kMetrics = ['cost', 'savings', 'requests', 'cache_hit_rate', 'latency', 'latency_p95', 'errors', 'error_rate', 'tokens', 'quality'] as const;
export type Metric = (typeof kMetrics)[number];

export interface TrendAsk {
  metric: Metric;
  group?: Group | undefined;
}

export const trendQuery = (buckets: Buckets, { metric, group }: TrendAsk) =>
  queryOptions({
    queryKey: ['analytics', 'trends', buckets, metric, group ?? null],
    queryFn: async ({ signal }) => {
      const { from, to, intervals } = buckets;
      return (await get('/analytics/trends', { query: { metric, from, to, intervals, group_by: group }, signal })).data;
    },
    ...common,
  });

/** A metric in whole hours or days of the range. */
export const rangeTrendQuery = (range: Range, ask: TrendAsk) => trendQuery(bucketsOf(range, Date.now()), ask);

export const forecastQuery = (horizonDays: number, monthlyBudget: number, historyDays = 60) =>
  queryOptions({
    queryKey: ['analytics', 'forecast', horizonDays, monthlyBudget, historyDays],
    queryFn: async ({ signal }) =>
      (await get('/analytics/forecast', { query: { horizon_days: horizonDays, monthly_budget: monthlyBudget, history_days: historyDays }, signal })).data,
    ...common,
  });

export const recentQuery = (limit: number) =>
  queryOptions({
    queryKey: ['analytics', 'recent', limit],
    queryFn: async ({ signal }) => (await get('/analytics/recent-inferences', { query: { limit }, signal })).data,
    ...common,
  });

/** What the request explorer filters by; absent: any. */
export interface RequestFilter {
  q?: string;
  model?: string;
  task_type?: string;
  user?: string;
  api_key?: string;
  provider?: string;
  tier?: '0' | '1' | '2' | '3';
  /** `true`: only failures; `false`: only answers. */
  error?: 'true' | 'false';
  /** RFC 3339. */
  from?: string;
  to?: string;
}

export const kRequestPage = 50;

/** The newest first, page after page by cursor, so that what comes in meanwhile shifts nothing. */
export const requestsQuery = (filter: RequestFilter) =>
  infiniteQueryOptions({
    queryKey: ['analytics', 'requests', filter],
    queryFn: ({ pageParam, signal }) =>
      get('/analytics/requests', { query: { ...filter, limit: kRequestPage, ...(pageParam ? { cursor: pageParam } : {}) }, signal }),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

const orNull = async <T>(asked: Promise<T>): Promise<T | null> => {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
};

/** One request; null: there is none of this id. */
export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ['analytics', 'event', id],
    queryFn: ({ signal }) => orNull(get('/analytics/events/{request_id}', { values: { request_id: id }, signal }).then(({ data }) => data)),
    staleTime: kRefreshMs,
  });

/** Its stages; null: they are remembered no more. */
export const traceQuery = (id: string) =>
  queryOptions({
    queryKey: ['traces', id],
    queryFn: ({ signal }) => orNull(get('/traces/{id}', { values: { id }, signal })),
    staleTime: kRefreshMs,
  });
