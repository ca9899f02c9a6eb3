/** What the pages of the memory ask. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';

import { get, post, type Schemas } from './client';
import { kRefreshMs } from './queries';

export type Hit = Schemas['MemoryHit'];
export type SearchReply = Schemas['MemorySearchReply'];
export type SearchRequest = Partial<Schemas['MemorySearch']>;

/** A tier that is slower is left out of the reply, which then says so. */
const kTierMs = 10_000;

/** The best first, page after page. `again` counts how often it was asked anew: a partial reply must not come from a cache. */
export const searchQuery = (request: SearchRequest, again: number) =>
  infiniteQueryOptions({
    queryKey: ['memory', 'search', request, again],
    queryFn: ({ pageParam }) =>
      post('/memory/search', {
        timeout_ms: kTierMs,
        ...request,
        ...(again > 0 ? { fresh: true } : {}),
        ...(pageParam ? { cursor: pageParam } : {}),
      } as Schemas['MemorySearch']),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: kRefreshMs,
  });

/** A memory with all that is kept about it. */
export interface StoredMemory {
  system_id: string;
  conversation_id: string;
  /** In the hot tier. */
  content?: string;
  /** In the others. */
  summary?: string;
  timestamp: string;
  uploaded_at: string;
  tier: string;
  embedding_model: string;
  content_hash: string;
  metadata: Record<string, unknown>;
  near_duplicate_of?: { system_id: string; conversation_id: string };
}

export const memoryQuery = (id: { system_id: string; conversation_id: string }) =>
  queryOptions({
    queryKey: ['memory', 'one', id],
    queryFn: async ({ signal }) => (await get('/memory/memories/{system_id}/{conversation_id}', { values: id, signal })) as unknown as StoredMemory,
  });

export type UploadState = 'discovered' | 'leased' | 'processing' | 'done' | 'partial' | 'rejected' | 'failed';

/** A row of the ledger of uploads. */
export interface Upload {
  system_id: string;
  upload_id: string;
  origin: 'bucket' | 'push' | 'import';
  state: UploadState;
  attempts: number;
  counts: Partial<Record<'items' | 'stored' | 'replaced' | 'unchanged' | 'older' | 'duplicates' | 'near_duplicates' | 'skipped' | 'errors' | 'bytes', number>>;
  error: string | null;
  /** The first 20. */
  bad_items: { index: number; reason: string; field?: string; expected?: string }[];
  discovered_at: string;
  updated_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface UploadFilter {
  system_id?: string;
  state?: UploadState;
}

export const kUploadPage = 50;

const uploadPage = async (filter: UploadFilter, cursor: string, signal: AbortSignal) => {
  const page = await get('/memory/uploads', { query: { ...filter, limit: kUploadPage, ...(cursor ? { cursor } : {}) }, signal });
  return page as unknown as { uploads: Upload[]; next_cursor: string | null };
};

/** The ledger, newest first; it stays as it was read, so that nothing moves under the reader. */
export const uploadsQuery = (filter: UploadFilter) =>
  infiniteQueryOptions({
    queryKey: ['memory', 'uploads', filter],
    queryFn: ({ pageParam, signal }) => uploadPage(filter, pageParam, signal),
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchOnWindowFocus: false,
  });

const kLedgerMs = 5_000;

/** The top of the same ledger as it is now: new rows, and what became of those that are shown. */
export const newestUploadsQuery = (filter: UploadFilter) =>
  queryOptions({
    queryKey: ['memory', 'newest-uploads', filter],
    queryFn: async ({ signal }) => (await uploadPage(filter, '', signal)).uploads,
    refetchInterval: kLedgerMs,
  });

/** What ingestion is doing. */
export interface IngestionStatus {
  queue_size: number;
  in_work: number;
  uploads: Partial<Record<UploadState, number>>;
  /** Whether a folder or bucket is watched. */
  bucket: boolean;
  workers?: number;
  /** Why nothing is taken in now. */
  paused?: string | null;
  last_scan?: string | null;
}

export const ingestionQuery = queryOptions({
  queryKey: ['memory', 'ingestion'],
  queryFn: async ({ signal }) => (await get('/memory/ingestion/status', { signal })) as unknown as IngestionStatus,
  refetchInterval: kLedgerMs,
});

/** One of the three tiers; of one that does not answer only its fault is known. */
export interface TierStatus {
  health: 'healthy' | 'unavailable';
  error?: string;
  records?: number;
  bytes?: number;
  oldest?: string | null;
  newest?: string | null;
}

/** The tiers that are served here, by name. */
export const storageQuery = queryOptions({
  queryKey: ['memory', 'storage'],
  queryFn: async ({ signal }) => (await get('/memory/storage/status', { signal })).tiers as unknown as Record<string, TierStatus>,
  refetchInterval: kRefreshMs,
});

export type System = Schemas['MemorySystem'];

const kSystemPage = 200;

/** The agent systems by id, page after page. */
export const systemsQuery = infiniteQueryOptions({
  queryKey: ['memory', 'systems'],
  queryFn: ({ pageParam, signal }) => get('/memory/systems', { query: { limit: kSystemPage, ...(pageParam ? { cursor: pageParam } : {}) }, signal }),
  initialPageParam: '',
  getNextPageParam: (page) => page.next_cursor ?? undefined,
  refetchInterval: kRefreshMs,
});

export const systemQuery = (system_id: string) =>
  queryOptions({
    queryKey: ['memory', 'system', system_id],
    queryFn: ({ signal }) => get('/memory/systems/{system_id}', { values: { system_id }, signal }),
  });

/** Who does well at which class of work. */
export const fitnessQuery = queryOptions({
  queryKey: ['memory', 'fitness'],
  queryFn: ({ signal }) => get('/memory/analytics/fitness', { signal }),
  refetchInterval: kRefreshMs,
});

const kFewUploads = 8;

/** What a system sent last. */
export const lastUploadsQuery = (system_id: string) =>
  queryOptions({
    queryKey: ['memory', 'last-uploads', system_id],
    queryFn: async ({ signal }) => (await get('/memory/uploads', { query: { system_id, limit: kFewUploads }, signal })).uploads as unknown as Upload[],
  });

export type Migration = Schemas['MemoryMigration'];
export type MigrationRequest = Schemas['MemoryMigrationRequest'];

const kRunPage = 20;
const kRunMs = 1_000;
export const isUnderWay = ({ state }: Migration): boolean => state === 'queued' || state === 'running';

/** Ageing runs, newest first, and when the next one is due; asked every second while one is under way. */
export const migrationsQuery = infiniteQueryOptions({
  queryKey: ['memory', 'migrations'],
  queryFn: ({ pageParam, signal }) => get('/memory/storage/migrations', { query: { limit: kRunPage, ...(pageParam ? { cursor: pageParam } : {}) }, signal }),
  initialPageParam: '',
  getNextPageParam: (page) => page.next_cursor ?? undefined,
  refetchInterval: ({ state }) => (state.data?.pages.some(({ migrations }) => migrations.some(isUnderWay)) ? kRunMs : kRefreshMs),
});

/** Queues a run; a dry one answers with its count. */
export const startMigration = (request: Partial<MigrationRequest>) => post('/memory/storage/migrations', request as MigrationRequest);

export type Backend = Schemas['MemoryBackend'];
export type BackendPlace = Schemas['MemoryBackendPlace'];
export type BackendMove = Schemas['MemoryBackendMove'];
export type BackendRequest = Schemas['MemoryBackendRequest'];

/** Where the hot tier is kept, and its newest move; asked every second until reads go over, and no more where other processes keep the tier. */
export const backendQuery = queryOptions({
  queryKey: ['memory', 'backend'],
  queryFn: ({ signal }) => get('/memory/storage/hot/backend', { signal }),
  refetchInterval: ({ state }) => (state.data?.backend === null ? false : state.data?.reads === 'old' ? kRunMs : kRefreshMs),
});

/** Begins a move of the hot tier, takes it back, or ends its window; the server opens and probes the new backend before it answers. */
export const beginMove = (request: Partial<BackendRequest>) => post('/memory/storage/hot/backend', request as BackendRequest);
export const revertMove = () => post('/memory/storage/hot/backend/revert', {} as never);
export const finishMove = () => post('/memory/storage/hot/backend/finish', {} as never);
