/** The one place that talks HTTP. Types come from the OpenAPI document; failures are `ApiError`. */
import { apiBase, connection } from './connection';
import { ApiError, errorOfReply } from './errors';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];

type JsonReply<Operation> = Operation extends { responses: { 200: { content: { 'application/json': infer Body } } } }
  ? Body
  : never;
type PathsWith<Method extends 'get' | 'delete'> = {
  [Path in keyof paths]: paths[Path] extends Record<Method, { responses: unknown }> ? Path : never;
}[keyof paths];
type ReplyOf<Path extends keyof paths, Method extends 'get' | 'delete'> =
  paths[Path] extends Record<Method, infer Operation> ? JsonReply<Operation> : never;

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
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  const signals = [
    ...(options.signal ? [options.signal] : []),
    ...(options.timeoutMs ? [AbortSignal.timeout(options.timeoutMs)] : []),
  ];
  try {
    const response = await fetch(addressOf(path, options.query), {
      method: options.method ?? 'GET',
      headers,
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(signals.length > 0 ? { signal: AbortSignal.any(signals) } : {}),
    });
    if (!response.ok) throw errorOfReply(response.status, response.headers, await response.text());
    return response;
  } catch (error) {
    throw transportError(error);
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

export async function get<Path extends PathsWith<'get'>>(
  path: Path,
  { query, signal }: { query?: Query; signal?: AbortSignal } = {},
): Promise<ReplyOf<Path, 'get'>> {
  return (await readJson(await call(path, { query, signal, timeoutMs: kTimeoutMs }))) as ReplyOf<Path, 'get'>;
}

export async function remove<Path extends PathsWith<'delete'>>(path: Path, query?: Query): Promise<ReplyOf<Path, 'delete'>> {
  return (await readJson(await call(path, { method: 'DELETE', query, timeoutMs: kTimeoutMs }))) as ReplyOf<Path, 'delete'>;
}

export async function getText(path: PathsWith<'get'>, { query, signal }: { query?: Query; signal?: AbortSignal } = {}): Promise<string> {
  const response = await call(path, { query, signal, accept: 'text/plain', timeoutMs: kTimeoutMs });
  return response.text();
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
