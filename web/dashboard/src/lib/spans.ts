/** The spans of a trace as rows of a waterfall. Pure. */
import type { Schemas } from '../api/client';

type Span = Schemas['TraceSpan'];

export interface SpanRow {
  span: Span;
  depth: number;
  /** Place and length of its bar, in percent of the whole. */
  left: number;
  width: number;
  /** Time not spent in the spans below it, ms. */
  own: number;
}

const kDeepest = 12;
const kMostRows = 500;

/**
 * Depth first, each under the span that it is a part of. A span that begins before the call or ends after it (the clocks of
 * two threads, a stream that outlives its reply) widens the whole rather than leave the picture.
 */
export function spanRows(root: Span): { rows: SpanRow[]; from: number; total: number } {
  const flat: { span: Span; depth: number }[] = [];
  const walk = (span: Span, depth: number) => {
    if (flat.length >= kMostRows) return;
    flat.push({ span, depth: Math.min(depth, kDeepest) });
    for (const child of [...span.children].sort((a, b) => a.offset_ms - b.offset_ms)) walk(child, depth + 1);
  };
  walk(root, 0);
  const from = Math.min(0, ...flat.map(({ span }) => span.offset_ms));
  const to = Math.max(...flat.map(({ span }) => span.offset_ms + Math.max(0, span.duration_ms)));
  const total = Math.max(0, to - from);
  const rows = flat.map(({ span, depth }) => {
    const spent = span.children.reduce((sum, child) => sum + Math.max(0, child.duration_ms), 0);
    const own = Math.max(0, span.duration_ms - spent);
    if (total === 0) return { span, depth, left: 0, width: 100, own };
    return { span, depth, left: ((span.offset_ms - from) / total) * 100, width: (Math.max(0, span.duration_ms) / total) * 100, own };
  });
  return { rows, from, total };
}

/** The value of an attribute of the first span of this stage that has it. */
export function attributeOf(root: Span, stage: Span['stage'], name: string): string | number | boolean | undefined {
  if (root.stage === stage && root.attributes[name] !== undefined) return root.attributes[name];
  for (const child of root.children) {
    const value = attributeOf(child, stage, name);
    if (value !== undefined) return value;
  }
  return undefined;
}
