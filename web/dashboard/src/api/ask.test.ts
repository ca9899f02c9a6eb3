import { afterEach, expect, test, vi } from 'vitest';

import { ask, eventsOfReply, requestOf, type AskEvent, type Question } from './ask';
import { setConnection } from './connection';
import { ApiError } from './errors';

const kQuestion: Question = {
  shape: 'native',
  mode: 'autopilot',
  model: 'gpt-4o-mini',
  quality: 'high',
  latency: 'fast',
  system: '',
  prompt: 'Hello',
  maxTokens: 64,
  stream: true,
  bypassCache: false,
};
const kAsahi = {
  request_id: 'req_1',
  cost: 0.000006,
  cost_original: 0.00061,
  savings_usd: 0.000604,
  savings_pct: 99,
  cache_hit: false,
  cache_tier: 0,
  routing_mode: 'autopilot',
  routing_reason: 'because',
  model: 'm',
  provider: 'p',
  fallback_used: false,
};
const kDone = {
  type: 'done',
  request_id: 'req_1',
  response: null,
  model_used: 'm',
  provider: 'p',
  routing_mode: 'autopilot',
  routing_reason: 'because',
  cache_hit: true,
  cache_tier: 1,
  cost: 0,
  cost_original: 0.00069,
  cost_savings_vs_baseline: 0.00069,
  cost_savings_percent: 100,
  fallback_used: false,
  warnings: [],
  task_type_detected: 'faq',
  finish_reason: 'stop',
  tokens_input: 0,
  tokens_output: 0,
  latency_ms: 0.125,
  latency_breakdown: { cache_lookup_ms: 0.1, routing_ms: 0, inference_ms: 0, post_processing_ms: 0, total_ms: 0.125 },
  cache: { hit: true, tier: 1, similarity: 1, cached_query: 'Hello' },
  alternatives: [],
};

afterEach(() => vi.unstubAllGlobals());

/** Runs `question` against a reply with this body; the events before the end, and the error if that was the end. */
async function asked(question: Question, body: string | ReadableStream): Promise<{ events: AskEvent[]; error?: unknown }> {
  setConnection({ base: 'http://gw', key: '' });
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(body)));
  const events: AskEvent[] = [];
  try {
    for await (const event of ask(question, new AbortController().signal)) events.push(event);
  } catch (error) {
    return { events, error };
  }
  return { events };
}

const frame = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

test('options go along only where they were set, and a vendor key only to a named model', () => {
  const options = { temperature: 0, minQuality: 4.5, mostLatencyMs: 500, semanticCache: false, optimizeTokens: false, sensitivity: 'low', vendorKey: 'sk' } as const;
  const sent = { temperature: 0, quality_threshold: 4.5, latency_budget_ms: 500, semantic_cache: false, optimize_tokens: false, cost_sensitivity: 'low' };
  const { body } = requestOf({ ...kQuestion, ...options });
  expect(body).toMatchObject(sent);
  expect(body).not.toHaveProperty('provider_api_key');
  expect(requestOf({ ...kQuestion, ...options, shape: 'chat', mode: 'explicit' }).body).toMatchObject({ ...sent, provider_api_key: 'sk' });
});

test('each routing mode is said the way its endpoint wants it', () => {
  expect(requestOf(kQuestion).body).toEqual({ prompt: 'Hello', routing_mode: 'autopilot', max_tokens: 64, stream: true });
  expect(requestOf({ ...kQuestion, mode: 'explicit', stream: false, bypassCache: true, system: 'Be brief' })).toEqual({
    path: '/infer',
    body: { prompt: 'Hello', system_prompt: 'Be brief', routing_mode: 'explicit', model: 'gpt-4o-mini', max_tokens: 64, bypass_cache: true },
  });
  const chat = requestOf({ ...kQuestion, shape: 'chat', mode: 'guided', system: 'Be brief' });
  expect(chat.path).toBe('/v1/chat/completions');
  expect(chat.body).toMatchObject({
    model: 'asahi-guided',
    quality_preference: 'high',
    latency_preference: 'fast',
    messages: [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Hello' },
    ],
    stream_options: { include_usage: true },
  });
  expect(requestOf({ ...kQuestion, shape: 'chat' }).body['model']).toBe('auto');
});

test('a native stream gives its words and then its facts', async () => {
  const body = frame({ type: 'token', text: 'Hel' }) + frame({ type: 'token', text: 'lo' }) + frame(kDone) + frame('[DONE]');
  const { events, error } = await asked(kQuestion, body);
  expect(error).toBeUndefined();
  expect(events.slice(0, 2)).toEqual([
    { kind: 'text', text: 'Hel' },
    { kind: 'text', text: 'lo' },
  ]);
  expect(events[2]).toMatchObject({ kind: 'done', facts: { cacheHit: true, cacheTier: 1, saved: 0.00069, cachedQuery: 'Hello' } });
});

test('a chat stream gives its words and the facts of its last chunk', async () => {
  const chunk = (delta: object, more: object = {}) => frame({ choices: [{ index: 0, delta, finish_reason: null }], usage: null, ...more });
  const body =
    chunk({ role: 'assistant', content: '' }) +
    chunk({ content: 'Hi' }) +
    chunk({}, { usage: { prompt_tokens: 1, completion_tokens: 20, total_tokens: 21 }, asahi: kAsahi }) +
    frame('[DONE]');
  const { events } = await asked({ ...kQuestion, shape: 'chat' }, body);
  expect(events).toMatchObject([
    { kind: 'text', text: 'Hi' },
    { kind: 'done', facts: { model: 'm', tokensIn: 1, tokensOut: 20, warnings: [] } },
  ]);
});

test.each([
  ['native', `event: error\n${frame({ type: 'error', error: 'stream_cut', message: 'the vendor broke off', request_id: 'req_9' })}`],
  ['chat', frame({ error: { message: 'the vendor broke off', type: 'server_error', param: null, code: 'stream_cut' } })],
] as const)('%s: an error in the stream keeps the words before it and says why', async (shape, end) => {
  const word = shape === 'native' ? { type: 'token', text: 'Hel' } : { choices: [{ delta: { content: 'Hel' } }] };
  const { events, error } = await asked({ ...kQuestion, shape }, frame(word) + end);
  expect(events).toEqual([{ kind: 'text', text: 'Hel' }]);
  expect(error).toMatchObject({ message: 'the vendor broke off', code: 'stream_cut', midStream: true });
});

test('a stream that just stops is a failure, not a short answer', async () => {
  const { events, error } = await asked(kQuestion, frame({ type: 'token', text: 'Hel' }));
  expect(events).toHaveLength(1);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ code: 'stream_cut', midStream: true });
});

test('a connection that breaks in the stream is reported as that', async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(frame({ type: 'token', text: 'Hel' })));
    },
    pull(controller) {
      controller.error(new TypeError('network error'));
    },
  });
  const { error } = await asked(kQuestion, body);
  expect(error).toMatchObject({ code: 'network', midStream: true });
});

test('whole replies of both shapes become the same events', () => {
  expect(eventsOfReply('native', { ...kDone, response: 'Hi' })[0]).toEqual({ kind: 'text', text: 'Hi' });
  const chat = { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }], asahi: kAsahi };
  expect(eventsOfReply('chat', chat)).toMatchObject([{ kind: 'text', text: 'Hi' }, { kind: 'done', facts: { model: 'm', finish: 'stop' } }]);
  expect(() => eventsOfReply('chat', { choices: [] })).toThrow(ApiError);
});
