/** One question to the gateway, in its own shape or as a chat completion; streamed or whole, the same events come out. */
import { call, readJson, transportError, type Schemas } from './client';
import { ApiError, errorOf, isObject } from './errors';
import { readEvents, type SseEvent } from './sse';

export type Shape = 'native' | 'chat';
export type Mode = Schemas['RoutingMode'];

export interface Question {
  shape: Shape;
  mode: Mode;
  /** Explicit mode only. */
  model: string;
  /** Guided mode only. */
  quality: Schemas['QualityPreference'];
  latency: Schemas['LatencyPreference'];
  system: string;
  prompt: string;
  maxTokens: number;
  stream: boolean;
  bypassCache: boolean;
  /** What follows is sent only when it is there: the gateway has its own defaults. */
  temperature?: number | undefined;
  /** 0 to 5 */
  minQuality?: number | undefined;
  mostLatencyMs?: number | undefined;
  semanticCache?: boolean | undefined;
  optimizeTokens?: boolean | undefined;
  /** How similar an earlier question must be; `high` takes hits early. */
  sensitivity?: 'high' | 'medium' | 'low' | undefined;
  /** The caller's own key at the vendor of the model, explicit mode only. */
  vendorKey?: string | undefined;
}

export interface Similar {
  similarity: number;
  threshold: number;
  expectedError: number;
  verdict: string;
  reason: string;
  /** The model was asked to check a cached answer. */
  checked: boolean;
}

/** What the gateway says about an answer. A member is absent where the shape does not tell it. */
export interface Facts {
  requestId: string;
  model: string;
  provider: string;
  mode: Mode;
  reason: string;
  cacheHit: boolean;
  cacheTier: number;
  cost: number;
  baselineCost: number;
  saved: number;
  savedPercent: number;
  fallbackUsed: boolean;
  warnings: readonly string[];
  task?: string;
  finish?: string;
  tokensIn?: number;
  tokensOut?: number;
  /** Time in the gateway, vendor included. */
  latencyMs?: number;
  lookupMs?: number;
  vendorMs?: number;
  cachedQuery?: string;
  /** What tier 2 found nearest, and what it made of it. */
  similar?: Similar;
  /** Names the entry in “that answer was wrong”. */
  entryId?: string;
  alternatives?: Schemas['InferResponse']['alternatives'];
}

export type AskEvent = { kind: 'text'; text: string } | { kind: 'done'; facts: Facts };

export interface AskRequest {
  path: '/infer' | '/v1/chat/completions';
  body: Record<string, unknown>;
}

function optionsOf({ mode, temperature, minQuality, mostLatencyMs, semanticCache, optimizeTokens, sensitivity, vendorKey }: Question): Record<string, unknown> {
  const options = {
    temperature,
    quality_threshold: minQuality,
    latency_budget_ms: mostLatencyMs,
    semantic_cache: semanticCache,
    optimize_tokens: optimizeTokens,
    cost_sensitivity: sensitivity,
    provider_api_key: mode === 'explicit' && vendorKey ? vendorKey : undefined,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** The HTTP request that asks it; also what the “copy as curl” button shows. */
export function requestOf(question: Question): AskRequest {
  const { shape, mode, model, quality, latency, system, prompt, maxTokens, stream, bypassCache } = question;
  const common = {
    ...(mode === 'guided' ? { quality_preference: quality, latency_preference: latency } : {}),
    max_tokens: maxTokens,
    ...(bypassCache ? { bypass_cache: true } : {}),
    ...optionsOf(question),
    ...(stream ? { stream: true } : {}),
  };
  if (shape === 'chat') {
    const messages = [
      ...(system.trim() ? [{ role: 'system', content: system }] : []),
      { role: 'user', content: prompt },
    ];
    return {
      path: '/v1/chat/completions',
      body: {
        model: mode === 'explicit' ? model : mode === 'guided' ? 'asahi-guided' : 'auto',
        messages,
        ...common,
        ...(stream ? { stream_options: { include_usage: true } } : {}),
      },
    };
  }
  return {
    path: '/infer',
    body: {
      prompt,
      ...(system.trim() ? { system_prompt: system } : {}),
      routing_mode: mode,
      ...(mode === 'explicit' ? { model } : {}),
      ...common,
    },
  };
}

type CacheFacts = Partial<Omit<Schemas['InferResponse']['cache'], 'hit' | 'tier'>>;

function similarOf(cache: CacheFacts | undefined): Pick<Facts, 'cachedQuery' | 'similar' | 'entryId'> {
  if (!cache) return {};
  const { cached_query, similarity, threshold, expected_error, verdict, reason, entry_id, checked } = cache;
  return {
    ...(cached_query ? { cachedQuery: cached_query } : {}),
    ...(entry_id ? { entryId: entry_id } : {}),
    ...(verdict !== undefined
      ? {
          similar: {
            similarity: similarity ?? 0,
            threshold: threshold ?? 0,
            expectedError: expected_error ?? 1,
            verdict,
            reason: reason ?? '',
            checked: checked ?? false,
          },
        }
      : {}),
  };
}

function factsOfInfer(reply: Schemas['InferResponse']): Facts {
  return {
    requestId: reply.request_id,
    model: reply.model_used,
    provider: reply.provider,
    mode: reply.routing_mode,
    reason: reply.routing_reason,
    cacheHit: reply.cache_hit,
    cacheTier: reply.cache_tier,
    cost: reply.cost,
    baselineCost: reply.cost_original,
    saved: reply.cost_savings_vs_baseline,
    savedPercent: reply.cost_savings_percent,
    fallbackUsed: reply.fallback_used,
    warnings: reply.warnings,
    task: reply.task_type_detected,
    finish: reply.finish_reason,
    tokensIn: reply.tokens_input,
    tokensOut: reply.tokens_output,
    latencyMs: reply.latency_ms,
    lookupMs: reply.latency_breakdown.cache_lookup_ms,
    vendorMs: reply.latency_breakdown.inference_ms,
    ...similarOf(reply.cache),
    alternatives: reply.alternatives,
  };
}

interface ChatEnd {
  asahi: Schemas['AsahiObject'];
  finish?: string | null | undefined;
  usage?: { prompt_tokens: number; completion_tokens: number } | null | undefined;
}

function factsOfChat({ asahi, finish, usage }: ChatEnd): Facts {
  return {
    requestId: asahi.request_id,
    model: asahi.model,
    provider: asahi.provider,
    mode: asahi.routing_mode,
    reason: asahi.routing_reason,
    cacheHit: asahi.cache_hit,
    cacheTier: asahi.cache_tier,
    cost: asahi.cost,
    baselineCost: asahi.cost_original,
    saved: asahi.savings_usd,
    savedPercent: asahi.savings_pct,
    fallbackUsed: asahi.fallback_used,
    warnings: asahi.warnings ?? [],
    ...similarOf(asahi.cache),
    ...(finish ? { finish } : {}),
    ...(usage ? { tokensIn: usage.prompt_tokens, tokensOut: usage.completion_tokens } : {}),
  };
}

const badReply = (what: string): ApiError => new ApiError(what, { status: 200, code: 'bad_reply' });

/** A whole reply as events. Errors: ApiError bad_reply. */
export function eventsOfReply(shape: Shape, reply: unknown): AskEvent[] {
  if (!isObject(reply)) throw badReply('The answer is not a JSON object.');
  if (shape === 'native') {
    const body = reply as unknown as Schemas['InferResponse'];
    return [
      { kind: 'text', text: body.response ?? '' },
      { kind: 'done', facts: factsOfInfer(body) },
    ];
  }
  const body = reply as unknown as Schemas['ChatCompletion'];
  const choice = body.choices[0];
  if (!choice || !body.asahi) throw badReply('The answer has no choice or no “asahi” member.');
  return [
    { kind: 'text', text: String(choice.message.content ?? '') },
    { kind: 'done', facts: factsOfChat({ asahi: body.asahi, finish: choice.finish_reason, usage: body.usage }) },
  ];
}

const kEnd = '[DONE]';

/** Meaning of one server-sent event; undefined for those without any. Errors: the stream's own, as ApiError. */
export function askEventOf(shape: Shape, { data }: SseEvent): AskEvent | undefined {
  if (data === kEnd) return undefined;
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    throw new ApiError('The stream carries something that is not JSON.', { status: 200, code: 'bad_reply', midStream: true });
  }
  if (!isObject(body)) return undefined;
  if ('error' in body && body['error']) {
    throw errorOf(body, { status: 200, midStream: true }) ?? badReply('The stream ended with an error without a message.');
  }
  if (shape === 'native') {
    if (body['type'] === 'token') return { kind: 'text', text: String(body['text'] ?? '') };
    if (body['type'] === 'done') return { kind: 'done', facts: factsOfInfer(body as unknown as Schemas['InferResponse']) };
    return undefined;
  }
  const chunk = body as unknown as Schemas['ChatCompletionChunk'];
  const choice = chunk.choices[0];
  if (chunk.asahi) {
    return { kind: 'done', facts: factsOfChat({ asahi: chunk.asahi, finish: choice?.finish_reason, usage: chunk.usage }) };
  }
  const text = choice?.delta.content;
  return typeof text === 'string' && text ? { kind: 'text', text } : undefined;
}

/**
 * Asks and yields the answer as it comes, `done` last. Ends with an ApiError on failure (`midStream` once text could have
 * come) or with the AbortError of `signal`. A stream that stops without its end is a failure, never a short answer.
 */
export async function* ask(question: Question, signal: AbortSignal): AsyncGenerator<AskEvent> {
  const { path, body } = requestOf(question);
  const response = await call(path, {
    method: 'POST',
    body,
    signal,
    accept: question.stream ? 'text/event-stream' : 'application/json',
  });
  if (!question.stream || !response.body) {
    yield* eventsOfReply(question.shape, await readJson(response));
    return;
  }
  let complete = false;
  try {
    for await (const event of readEvents(response.body)) {
      const meaning = askEventOf(question.shape, event);
      if (!meaning) continue;
      complete ||= meaning.kind === 'done';
      yield meaning;
    }
  } catch (error) {
    throw transportError(error, true);
  }
  if (!complete) {
    throw new ApiError('The stream ended before the answer was complete.', { status: 200, code: 'stream_cut', midStream: true });
  }
}
