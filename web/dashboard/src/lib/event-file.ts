/** Requests as a file. Pure. */
import type { Schemas } from '../api/client';

type Event = Schemas['InferenceEvent'];
export type FileFormat = 'csv' | 'ndjson';

const kColumns = [
  'timestamp',
  'request_id',
  'event_type',
  'model_used',
  'provider',
  'task_type',
  'routing_mode',
  'routing_reason',
  'user_id',
  'api_key_prefix',
  'cache_hit',
  'cache_tier',
  'cache_similarity',
  'input_tokens',
  'output_tokens',
  'tokens_saved',
  'latency_ms',
  'cost',
  'baseline_cost',
  'savings',
  'quality_score',
  'fallback_used',
  'streamed',
  'retries',
  'error',
] as const satisfies readonly (keyof Event)[];

/** RFC 4180. A text that a spreadsheet would run as a formula is given an apostrophe. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const headOf = (format: FileFormat): string => (format === 'csv' ? `${kColumns.join(',')}\r\n` : '');

export const linesOf = (events: readonly Event[], format: FileFormat): string =>
  events.map((event) => (format === 'csv' ? `${kColumns.map((name) => cell(event[name])).join(',')}\r\n` : `${JSON.stringify(event)}\n`)).join('');
