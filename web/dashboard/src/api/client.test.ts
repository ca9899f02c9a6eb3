import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { get, getHealth, logIn, logOut, onUnauthorized, put, remove, revokeKey, whoAmI } from './client';
import { setConnection } from './connection';
import { ApiError, hintFor } from './errors';

const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  vi.stubGlobal('fetch', fetched);
  setConnection({ base: 'http://gw:8000/', key: '' });
});
afterEach(() => {
  vi.unstubAllGlobals();
  fetched.mockReset();
});

const reply = (status: number, body: string, headers: Record<string, string> = {}) =>
  fetched.mockResolvedValueOnce(new Response(body, { status, headers }));

async function failure(work: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(error)}`);
  return error;
}

test('sends the query, and the key as a bearer token only when there is one', async () => {
  reply(200, '{"entries":[],"count":0}');
  expect(await get('/cache/entries', { query: { limit: 50, tier: undefined } })).toEqual({ entries: [], count: 0 });
  expect(fetched.mock.calls[0]?.[0]).toBe('http://gw:8000/cache/entries?limit=50');
  expect(fetched.mock.calls[0]?.[1]?.headers).not.toHaveProperty('authorization');

  setConnection({ base: 'http://gw:8000', key: ' ask_1 ' });
  reply(200, '{}');
  await remove('/cache/clear');
  expect(fetched.mock.calls[1]?.[1]).toMatchObject({ method: 'DELETE', headers: { authorization: 'Bearer ask_1' } });
});

test("the gateway's errors come with its words, the field and the id", async () => {
  reply(400, '{"error":"validation_error","message":"limit is 0","details":{"field":"limit"},"request_id":"req_1"}');
  expect(await failure(get('/cache/entries'))).toMatchObject({
    status: 400,
    code: 'validation_error',
    message: 'limit is 0',
    field: 'limit',
    requestId: 'req_1',
  });
});

test("OpenAI's errors come with their code, the id from the header and the pause", async () => {
  reply(503, '{"error":{"message":"nobody answered","type":"server_error","param":null,"code":"service_unavailable"}}', {
    'x-request-id': 'req_2',
    'retry-after': '30',
  });
  const error = await failure(get('/models'));
  expect(error).toMatchObject({ code: 'service_unavailable', message: 'nobody answered', requestId: 'req_2' });
  expect(hintFor(error)).toBe('Try again in 30 s.');
});

test('an error page of a proxy is not shown as a message', async () => {
  reply(502, '<html><body>Bad gateway</body></html>');
  expect(await failure(get('/models'))).toMatchObject({ status: 502, message: 'The server answered with status 502.' });
});

const headersOf = (call: number): Record<string, string> => fetched.mock.calls[call]?.[1]?.headers as Record<string, string>;

test("a session's token goes along with what changes something, and ends with the session", async () => {
  reply(200, '{"kind":"session","org_id":"acme","permissions":[],"csrf_token":"csrf-1"}');
  expect(await whoAmI()).toMatchObject({ org_id: 'acme' });
  reply(200, '{"entries":[],"count":0}');
  await get('/cache/entries');
  expect(headersOf(1)).not.toHaveProperty('x-csrf-token');
  reply(200, '{}');
  await put('/org/policy', { blocked_models: ['gpt-4o'] });
  expect(fetched.mock.calls[2]?.[1]).toMatchObject({ method: 'PUT', credentials: 'same-origin', body: '{"blocked_models":["gpt-4o"]}' });
  expect(headersOf(2)['x-csrf-token']).toBe('csrf-1');

  reply(200, '{"csrf_token":"csrf-2"}');
  await logIn('ada@example.com', 'correct horse battery');
  reply(200, '{}');
  await logOut();
  expect(headersOf(4)['x-csrf-token']).toBe('csrf-2');
  reply(200, '{}');
  await remove('/cache/clear');
  expect(headersOf(5)).not.toHaveProperty('x-csrf-token');
});

test('a key goes alone: it needs no token of a session', async () => {
  reply(200, '{"csrf_token":"csrf-3"}');
  await logIn('ada@example.com', 'correct horse battery');
  setConnection({ base: 'http://gw:8000', key: 'ask_1' });
  reply(200, '{}');
  await remove('/cache/clear');
  expect(headersOf(1)).toMatchObject({ authorization: 'Bearer ask_1' });
  expect(headersOf(1)).not.toHaveProperty('x-csrf-token');
});

test('a refused call is reported, a refused login is not', async () => {
  const told = vi.fn();
  onUnauthorized(told);
  reply(401, '{"error":"unauthorized","message":"no"}');
  expect(await whoAmI()).toBeNull();
  reply(401, '{"error":"unauthorized","message":"the e-mail or the password is wrong"}');
  expect(await failure(logIn('ada@example.com', 'wrong'))).toMatchObject({ status: 401 });
  expect(told).not.toHaveBeenCalled();
  reply(401, '{"error":"unauthorized","message":"no"}');
  await failure(get('/metrics'));
  expect(told).toHaveBeenCalledOnce();
});

test('an outage is not taken for a missing login', async () => {
  fetched.mockRejectedValueOnce(new TypeError('Failed to fetch'));
  expect(await failure(whoAmI())).toMatchObject({ code: 'network' });
});

test('a lock-out comes with its wait', async () => {
  reply(429, '{"error":"auth_locked_out","message":"too many failed logins","retry_after_seconds":8}');
  expect(await failure(logIn('ada@example.com', 'wrong'))).toMatchObject({ code: 'auth_locked_out', retryAfterSeconds: 8 });
});

test('names in a path are escaped', async () => {
  reply(200, '{}');
  await revokeKey('ask_a/..?');
  expect(fetched.mock.calls[0]?.[0]).toBe('http://gw:8000/governance/api-keys/ask_a%2F..%3F');
});

test('what a role does not allow is said together with whom to ask', async () => {
  reply(403, '{"error":"forbidden","message":"needs manage_policy"}');
  expect(hintFor(await failure(get('/cache/stats')))).toContain('admin');
});

test('a missing key is said together with where to enter it', async () => {
  reply(401, '{"error":"unauthenticated","message":"an API key is needed"}');
  expect(hintFor(await failure(get('/metrics')))).toContain('Connection');
});

test('an unreachable gateway is named with its address', async () => {
  fetched.mockRejectedValueOnce(new TypeError('Failed to fetch'));
  const error = await failure(get('/metrics'));
  expect(error).toMatchObject({ status: 0, code: 'network' });
  expect(error.message).toContain('http://gw:8000');
});

test('a reply that is not JSON is a failure of its own', async () => {
  reply(200, 'hello');
  expect(await failure(get('/metrics'))).toMatchObject({ code: 'bad_reply' });
});

test('a gateway that shuts down still tells its health', async () => {
  reply(503, '{"status":"unhealthy","version":"1.0.0","components":{}}');
  expect((await getHealth()).status).toBe('unhealthy');
});

test("a caller's own abort stays an abort", async () => {
  fetched.mockRejectedValueOnce(new DOMException('stop', 'AbortError'));
  await expect(get('/metrics')).rejects.toThrow(DOMException);
});
