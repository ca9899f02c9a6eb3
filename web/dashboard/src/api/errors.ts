/** Failures of API calls as one type, whatever shape the server gave them. */

interface Details {
  /** HTTP status; 0 when no answer came at all. */
  status: number;
  /** The server's stable code, or one of ours: network, timeout, stream_cut, bad_reply. */
  code: string;
  field?: string | undefined;
  requestId?: string | undefined;
  retryAfterSeconds?: number | undefined;
  /** The failure came after the first piece of a streamed answer. */
  midStream?: boolean;
}

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly midStream: boolean;

  constructor(message: string, details: Details) {
    super(message);
    this.name = 'ApiError';
    this.status = details.status;
    this.code = details.code;
    this.field = details.field;
    this.requestId = details.requestId;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.midStream = details.midStream ?? false;
  }
}

type Json = Record<string, unknown>;
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === 'string' && value ? value : undefined);
const seconds = (value: unknown): number | undefined => {
  const number = Number(value ?? NaN);
  return Number.isFinite(number) && number > 0 ? number : undefined;
};

/**
 * Reads the three shapes of errors: the gateway's `{error, message, details}`, OpenAI's and Anthropic's
 * `{error: {message, …}}`. Undefined when `body` is none of them.
 */
export function errorOf(body: unknown, details: Omit<Details, 'code'> & { code?: string }): ApiError | undefined {
  if (!isObject(body)) return undefined;
  const inner = isObject(body['error']) ? body['error'] : undefined;
  const message = text(inner ? inner['message'] : body['message']);
  if (!message) return undefined;
  const nested = isObject(body['details']) ? body['details'] : {};
  return new ApiError(message, {
    ...details,
    code: (inner ? (text(inner['code']) ?? text(inner['type'])) : text(body['error'])) ?? details.code ?? 'error',
    field: text(inner ? inner['param'] : nested['field']),
    requestId: text(body['request_id']) ?? details.requestId,
    retryAfterSeconds: seconds(body['retry_after_seconds']) ?? details.retryAfterSeconds,
  });
}

/** The error of an HTTP reply that is no success. */
export function errorOfReply(status: number, headers: Headers, body: string): ApiError {
  const details = {
    status,
    requestId: headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: seconds(headers.get('retry-after')),
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  const start = body.trim().slice(0, 200);
  return (
    errorOf(parsed, details) ??
    new ApiError(start && !start.startsWith('<') ? start : `The server answered with status ${status}.`, {
      ...details,
      code: 'http_error',
    })
  );
}

/** What the reader can do about it. */
export function hintFor(error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  if (error.code === 'network') return 'Is the gateway running, and is the address under “Connection” right?';
  if (error.status === 401) return 'Log in, or enter an API key under “Connection”.';
  if (error.status === 403) return 'Your role or key does not allow this; ask an admin of your organisation.';
  if (error.retryAfterSeconds) return `Try again in ${error.retryAfterSeconds} s.`;
  return undefined;
}
