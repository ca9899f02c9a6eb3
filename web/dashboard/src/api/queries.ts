/** What the pages read, with its cache key and refresh. Refreshing pauses while the page is hidden. */
import { queryOptions } from '@tanstack/react-query';

import { get, getHealth, getTenant, whoAmI, type Schemas } from './client';
import { ApiError } from './errors';

export const kRefreshMs = 30_000;
/** While there is nothing to show the first request should appear at once. */
const kEagerMs = 3_000;

export const metricsQuery = queryOptions({
  queryKey: ['metrics'],
  queryFn: ({ signal }) => get('/metrics', { signal }),
  refetchInterval: (query) => (query.state.data?.total_requests === 0 ? kEagerMs : kRefreshMs),
});

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => getHealth(signal),
  // While nobody answers, whether somebody is back is worth asking more often.
  refetchInterval: (query) => (query.state.status === 'error' ? kEagerMs : kRefreshMs),
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

/** The caller; null: nobody yet, the gateway wants a login. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => whoAmI(signal),
  // Somebody may log in in another tab meanwhile, and come back to this one at once.
  staleTime: ({ state }) => (state.data === null ? 0 : kRefreshMs),
});

export const loginProvidersQuery = queryOptions({
  queryKey: ['login-providers'],
  queryFn: ({ signal }) => get('/auth/providers', { signal }),
});

/** As many as the API lists at once. */
export const kMostKeys = 500;

export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: ({ signal }) => get('/governance/api-keys', { query: { limit: kMostKeys }, signal }),
  refetchInterval: kRefreshMs,
});

export const providerKeysQuery = queryOptions({
  queryKey: ['provider-keys'],
  queryFn: ({ signal }) => get('/providers/keys', { signal }),
  refetchInterval: 2 * kRefreshMs,
});

export interface AuditFilter {
  action?: string;
  user_id?: string;
  /** RFC 3339. */
  start_time?: string;
  end_time?: string;
}

export const auditQuery = (filter: AuditFilter, limit: number, offset: number) =>
  queryOptions({
    queryKey: ['audit', filter, limit, offset],
    queryFn: ({ signal }) => get('/governance/audit', { query: { ...filter, limit, offset }, signal }),
    placeholderData: (previous) => previous,
  });

/** The organisation's policy; null: it has none. */
export const policyQuery = queryOptions({
  queryKey: ['policy'],
  queryFn: async ({ signal }) => {
    const policy = await get('/org/policy', { signal });
    return policy.updated_at ? policy : null;
  },
  // Someone else's change would replace what is being typed; it comes when asked for.
  refetchOnWindowFocus: false,
});

/** What GET /governance/usage answers. */
export interface Usage {
  request_count: number;
  total_cost_usd: number;
  bill_estimate_usd: number;
  budget: { requests: number; spent_usd: number; reserved_usd: number };
  policy_limits: Record<string, number | string | null>;
}

export const usageQuery = (period: 'day' | 'month') =>
  queryOptions({
    queryKey: ['usage', period],
    queryFn: async ({ signal }) => (await get('/governance/usage', { query: { period }, signal })) as unknown as Usage,
    refetchInterval: kRefreshMs,
    placeholderData: (previous) => previous,
  });

/** What the next 30 days will cost, held against a budget; 0: none. */
export const budgetForecastQuery = (budget: number) =>
  queryOptions({
    queryKey: ['budget-forecast', budget],
    queryFn: ({ signal }) => get('/analytics/forecast', { query: { horizon_days: 30, monthly_budget: budget }, signal }),
    refetchInterval: 2 * kRefreshMs,
  });

export const anomaliesQuery = queryOptions({
  queryKey: ['anomalies'],
  queryFn: ({ signal }) => get('/analytics/anomalies', { signal }),
  refetchInterval: kRefreshMs,
});

export const recommendationsQuery = queryOptions({
  queryKey: ['recommendations'],
  queryFn: ({ signal }) => get('/analytics/recommendations', { query: { period: 'month' }, signal }),
  refetchInterval: 2 * kRefreshMs,
});

export interface AlertFilter {
  state?: 'active' | 'resolved';
  severity?: Schemas['AlertSeverity'];
  dismissed?: boolean;
  before?: string;
}

export const alertsQuery = (filter: AlertFilter) =>
  queryOptions({
    queryKey: ['alerts', filter],
    queryFn: ({ signal }) => get('/alerts', { query: { ...filter, limit: 50 }, signal }),
    refetchInterval: kRefreshMs,
    placeholderData: (previous) => previous,
  });

/** The settings of the process as they hold; they change only when it starts anew. */
export const settingsQuery = queryOptions({
  queryKey: ['settings'],
  queryFn: ({ signal }) => get('/settings', { signal }),
  staleTime: 10 * kRefreshMs,
});

export const thresholdsQuery = queryOptions({
  queryKey: ['cache', 'thresholds'],
  queryFn: ({ signal }) => get('/cache/thresholds', { signal }),
});

export const weightsQuery = queryOptions({
  queryKey: ['routing', 'weights'],
  queryFn: ({ signal }) => get('/routing/weights', { signal }),
  refetchOnWindowFocus: false,
});

export const tenantQuery = (org: string) =>
  queryOptions({
    queryKey: ['tenant', org],
    queryFn: ({ signal }) => getTenant(org, signal),
    staleTime: 2 * kRefreshMs,
  });

/** A refusal will not change by asking again; an outage may. */
export const worthRetrying = (failures: number, error: unknown): boolean =>
  failures < 1 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);
