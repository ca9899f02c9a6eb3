/** The one place that talks HTTP. Types come from the OpenAPI document; failures are `ApiError`. */
import { apiBase, connection } from './connection';
import { ApiError, errorOfReply } from './errors';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

type JsonReply<Operation> = Operation extends { responses: { 200: { content: { 'application/json': infer Body } } } }
  ? Body
  : Operation extends { responses: { 201: { content: { 'application/json': infer Body } } } }
    ? Body
    : Operation extends { responses: { 202: { content: { 'application/json': infer Body } } } }
      ? Body
      : never;
type JsonBody<Operation> = Operation extends { requestBody?: { content: { 'application/json': infer Body } } } ? Body : never;
type Method = 'get' | 'delete' | 'post' | 'put';
type PathsWith<Method extends string> = {
  [Path in keyof paths]: paths[Path] extends Record<Method, { responses: unknown }> ? Path : never;
}[keyof paths];
type ReplyOf<Path extends keyof paths, Method extends string> =
  paths[Path] extends Record<Method, infer Operation> ? JsonReply<Operation> : never;

type BodyOf<Path extends keyof paths, Method extends string> =
  paths[Path] extends Record<Method, infer Operation> ? JsonBody<Operation> : never;

type Query = Record<string, string | number | boolean | undefined>;

const kTimeoutMs = 15_000;

interface CallOptions {
  method?: string;
  query?: Query | undefined;
  body?: unknown;
  accept?: string;
  signal?: AbortSignal | undefined;
  /** Limit until the reply's headers and body are read; streams have none of ours. */
  timeoutMs?: number;
}

/** These answer 401 as a matter of course; to every other call it means that the login has ended. */
const kLoginPaths = new Set(['/auth/me', '/auth/login', '/auth/signup']);

let csrfToken = '';
let refused: () => void = () => undefined;

/** `listener` is told whenever a call is answered 401; the last one set counts. */
export function onUnauthorized(listener: () => void): void {
  refused = listener;
}

let unreached: () => void = () => undefined;

/** `listener` is told whenever a call finds no gateway; the last one set counts. */
export function onUnreachable(listener: () => void): void {
  unreached = listener;
}

function addressOf(path: string, query: Query = {}): string {
  const used = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(used.map(([name, value]) => [name, String(value)])).toString();
  return `${apiBase()}${path}${search ? `?${search}` : ''}`;
}

const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

/** `error` of fetch or of reading a body, as one of ours; a caller's own abort stays what it is. */
export function transportError(error: unknown, midStream = false): unknown {
  if (error instanceof ApiError || isAbort(error)) return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ApiError(`No answer within ${kTimeoutMs / 1000} seconds.`, { status: 0, code: 'timeout', midStream });
  }
  const message = midStream
    ? 'The connection to the gateway broke off before the answer was complete.'
    : `The gateway at ${apiBase()} cannot be reached.`;
  return new ApiError(message, { status: 0, code: 'network', midStream });
}

/** A call that succeeded; its body is still unread. Errors: ApiError; the caller's AbortError as it is. */
export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: options.accept ?? 'application/json' };
  const { key } = connection();
  if (key) headers['authorization'] = `Bearer ${key}`;
  // The session's cookie goes along by itself, so what changes something has to prove that this page sends it.
  else if (csrfToken && options.method && options.method !== 'GET') headers['x-csrf-token'] = csrfToken;
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  const signals = [
    ...(options.signal ? [options.signal] : []),
    ...(options.timeoutMs ? [AbortSignal.timeout(options.timeoutMs)] : []),
  ];
  try {
    const response = await fetch(addressOf(path, options.query), {
      method: options.method ?? 'GET',
      headers,
      credentials: 'same-origin',
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
    });
    if (response.status === 401 && !kLoginPaths.has(path)) refused();
    if (!response.ok) throw errorOfReply(response.status, response.headers, await response.text());
    return response;
  } catch (error) {
    const failure = transportError(error);
    if (failure instanceof ApiError && failure.code === 'network') unreached();
    throw failure;
  }
}

export async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError('The server answered with something that is not JSON.', {
      status: response.status,
      code: 'bad_reply',
    });
  }
}

/** `path` with the values for its `{names}`. */
const filled = (path: string, values: Record<string, string> = {}): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));

export async function get<Path extends PathsWith<'get'>>(
  path: Path,
  { query, values, signal }: { query?: Query; values?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<ReplyOf<Path, 'get'>> {
  return (await readJson(await call(filled(path, values), { query, signal, timeoutMs: kTimeoutMs }))) as ReplyOf<Path, 'get'>;
}

export async function getTenant(org: string, signal?: AbortSignal): Promise<Schemas['Tenant']> {
  return (await readJson(await call(`/tenants/${encodeURIComponent(org)}`, { signal, timeoutMs: kTimeoutMs }))) as Schemas['Tenant'];
}

export async function remove<Path extends PathsWith<'delete'>>(path: Path, query?: Query): Promise<ReplyOf<Path, 'delete'>> {
  return (await readJson(await call(path, { method: 'DELETE', query, timeoutMs: kTimeoutMs }))) as ReplyOf<Path, 'delete'>;
}

async function change<Path extends keyof paths, M extends Method>(
  method: M,
  path: Path,
  body?: unknown,
  values?: Record<string, string>,
): Promise<ReplyOf<Path, M>> {
  const options = { method: method.toUpperCase(), body, timeoutMs: kTimeoutMs };
  return (await readJson(await call(filled(path, values), options))) as ReplyOf<Path, M>;
}

export const post = <Path extends PathsWith<'post'>>(path: Path, body: BodyOf<Path, 'post'>) => change('post', path, body);

export const put = <Path extends PathsWith<'put'>>(path: Path, body: BodyOf<Path, 'put'>) => change('put', path, body);

/** Revokes an API key, or replaces it by a successor. */
export const revokeKey = (prefix: string) => change('delete', '/governance/api-keys/{prefix}', undefined, { prefix });
export const rotateKey = (prefix: string) => change('post', '/governance/api-keys/{prefix}/rotate', {}, { prefix });

/** Says that somebody looks after an alert, or takes it off the list. */
export const acknowledgeAlert = (id: string) => change('post', '/alerts/{id}/acknowledge', {}, { id });
export const dismissAlert = (id: string) => change('post', '/alerts/{id}/dismiss', {}, { id });

type MemoryId = { system_id: string; conversation_id: string };
/** Erases one memory from all tiers. */
export const forgetMemory = (id: MemoryId) => change('delete', '/memory/memories/{system_id}/{conversation_id}', undefined, { ...id });
/** Erases everything of an agent system; how many memories went. */
export const eraseSystem = (system_id: string) => change('delete', '/memory/systems/{system_id}', undefined, { system_id });
/** Takes an upload out of the bucket in again. */
export const retryUpload = (id: { system_id: string; upload_id: string }) =>
  change('post', '/memory/uploads/{system_id}/{upload_id}/retry', { priority: 'normal' }, { ...id });

/** Says that an entry of the semantic cache answered wrongly. */
export const reportCacheEntry = (id: string) => change('post', '/cache/entries/{id}/report', {}, { id });

/** Removes the organisation's own key at a provider. */
export const removeProviderKey = (provider: string) => change('delete', '/providers/keys/{provider}', undefined, { provider });

/** Who we are to the gateway; null: it wants a login first. Remembers the token that a session's changes need. */
export async function whoAmI(signal?: AbortSignal): Promise<Schemas['Caller'] | null> {
  try {
    const caller = await get('/auth/me', signal ? { signal } : {});
    csrfToken = caller.csrf_token ?? '';
    return caller;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
    csrfToken = '';
    return null;
  }
}

export async function logIn(email: string, password: string): Promise<void> {
  csrfToken = (await post('/auth/login', { email, password })).csrf_token;
}

/** Founds an organisation and logs its first admin in. */
export async function signUp(org: string, email: string, password: string): Promise<void> {
  csrfToken = (await post('/auth/signup', { org_name: org, email, password })).csrf_token;
}

/** Ends the session of the cookie; without one there is nothing to end. */
export async function logOut(): Promise<void> {
  await post('/auth/logout', {});
  csrfToken = '';
}

/** GET /health answers 503 with the same body while the gateway shuts down; that is news, not a failure. */
export async function getHealth(signal?: AbortSignal): Promise<Schemas['Health']> {
  try {
    const options = { ...(signal ? { signal: AbortSignal.any([signal, AbortSignal.timeout(kTimeoutMs)]) } : {}) };
    const response = await fetch(addressOf('/health'), options);
    if (response.ok || response.status === 503) {
      const body = (await response.json()) as Schemas['Health'];
      if (typeof body.status === 'string') return body;
    }
    throw new ApiError(`The server answered with status ${response.status}.`, { status: response.status, code: 'http_error' });
  } catch (error) {
    throw transportError(error);
  }
}
