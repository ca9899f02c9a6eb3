import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { get, getHealth, remove } from './client';
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
