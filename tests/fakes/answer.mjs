/**
 * What a fake model says: one deterministic answer per conversation, whatever the vendor's wire format.
 *
 * Markers in the prompt choose special behaviour and are left out of the echoed text:
 *   [[usage:cached|reasoning|audio|none|last_chunk_only|with_finish]]  shape of the usage numbers
 *   [[tool:NAME]]       call that tool (when the request offers it and no result came yet)
 *   [[tools:A,B]]       call several tools at once
 *   [[answer:N]]        answer with N numbered words
 *   [[say:TEXT]]        answer exactly TEXT
 *   [[finish:length|content_filter]]  end for that reason
 *   [[chunk_ms:N]]      pause between streamed pieces
 *   [[delay_ms:N]]      pause before the first byte
 *   [[batch:prose]]     as one of several texts of a shared call: ignore the format asked for
 *   [[resume:anew|overlap]]  when asked to continue a broken answer: start again, or step back two words
 */
import { createHash } from "node:crypto";

import { minimal_instance } from "./schema_instance.mjs";

const kMarker = /\[\[([a-z_]+):([^\]]*)\]\]/g;
const kTokensPerImage = 85;
const kReasoningTokens = 16;
const kAudioTokens = 8;
/** The visible thinking of models that show it. */
export const kThinkingText = "First I read the question, then I answer it.";

/** Words separated by white space; the fakes' token. Tests compute expected usage with it. */
export const count_words = (text) => (text.match(/\S+/g) ?? []).length;

/** Pieces as a vendor streams them: each word with the white space after it. */
export const word_pieces = (text) => text.match(/\s*\S+\s*/g) ?? (text ? [text] : []);

/** Pieces of JSON arguments, cut without regard to its tokens. */
export const argument_pieces = (json) => json.match(/[\s\S]{1,7}/g) ?? [];

/** Reads the markers of a prompt: {markers: {name: value}, plain: text without them}. */
export function read_markers(prompt) {
  const markers = {};
  for (const [, name, value] of prompt.matchAll(kMarker)) markers[name] = value;
  return { markers, plain: prompt.replace(kMarker, "").trim() };
}

/** "Answer to: …" or, in style "digest", a text that shares no word with the prompt. */
export function answer_text(plain, style) {
  if (style !== "digest") return `Answer to: ${plain}`;
  const digest = createHash("sha256").update(plain).digest("hex").slice(0, 12);
  return `The stored reply for this question has the number ${digest}.`;
}

/**
 * The model's answer.
 * `conversation`: {texts: all texts sent, last_user: string, tool_results: [{name, text}] when they end the
 * conversation, tools: [{name, schema}], tool_choice: "auto"|"none"|"required"|{name}, schema: JSON Schema or null,
 * images: [{bytes, media_type, url}], max_tokens, stop: [string], turns: [{role: "user"|"assistant", text}]}
 * Returns {text, tool_calls: [{name, arguments}], finish: stop|length|tool_calls|content_filter, stop_sequence,
 * usage: see `usage_of`, markers}.
 */
export function answer(conversation, style) {
  const broken = broken_answer(conversation.turns ?? []);
  const { markers, plain } = read_markers(broken ? broken.question : conversation.last_user);
  const tool_calls = chosen_tools(conversation, markers);
  let text = tool_calls.length ? "" : spoken_text(conversation, markers, plain, style);
  if (broken) text = continued(text, broken.partial, markers.resume);
  let finish = tool_calls.length ? "tool_calls" : "stop";
  let stop_sequence = null;
  for (const stop of conversation.stop ?? []) {
    const at = stop ? text.indexOf(stop) : -1;
    if (at >= 0) [text, stop_sequence] = [text.slice(0, at), stop];
  }
  if (conversation.max_tokens && count_words(text) > conversation.max_tokens) {
    text = word_pieces(text).slice(0, conversation.max_tokens).join("").trimEnd();
    finish = "length";
  }
  if (markers.finish) finish = markers.finish;
  return { text, tool_calls, finish, stop_sequence, markers, usage: usage_of(conversation, text, tool_calls, markers) };
}

/** The question and the part already said, when the conversation ends with a request to go on with a broken answer. */
function broken_answer(turns) {
  const [question, partial, request] = turns.slice(-3);
  const asks = request?.role === "user" && /cut off|broke off/i.test(request.text) && /continue/i.test(request.text);
  return asks && partial.role === "assistant" ? { question: question.text, partial: partial.text } : null;
}

/** What is left of `whole` after `partial`, as an obedient model says it, or one that starts anew or steps back. */
function continued(whole, partial, manner) {
  if (manner === "anew" || !whole.startsWith(partial)) return whole;
  if (manner === "overlap") return word_pieces(partial).slice(-2).join("") + whole.slice(partial.length);
  return whole.slice(partial.length);
}

function chosen_tools(conversation, markers) {
  if (conversation.tool_results.length || conversation.tool_choice === "none") return [];
  const offered = conversation.tools ?? [];
  let wanted = [markers.tool, ...(markers.tools ?? "").split(",")].filter(Boolean);
  if (!wanted.length && conversation.tool_choice?.name) wanted = [conversation.tool_choice.name];
  if (!wanted.length && conversation.tool_choice === "required" && offered.length) wanted = [offered[0].name];
  return wanted
    .map((name) => offered.find((tool) => tool.name === name))
    .filter(Boolean)
    .map((tool) => ({ name: tool.name, arguments: JSON.stringify(minimal_instance(tool.schema ?? {}) ?? {}) }));
}

/** The texts of a shared call, `<<tag:number>>` before each, or null. */
export function batched_texts(prompt) {
  const tag = /^<<([0-9a-f]{12}):1>>\n/.exec(prompt)?.[1];
  if (!tag || !prompt.endsWith(`<<${tag}:end>>`)) return null;
  const texts = prompt.split(new RegExp(`<<${tag}:(?:\\d+|end)>>`)).slice(1, -1);
  return { tag, texts: texts.map((text) => text.trim()) };
}

function spoken_text(conversation, markers, plain, style) {
  const batch = batched_texts(conversation.last_user);
  if (batch && markers.batch !== "prose") {
    const blocks = batch.texts.map((text, i) => {
      const one = answer({ ...conversation, last_user: text, turns: [], max_tokens: undefined }, style);
      return `<<${batch.tag}:${i + 1}>>\n${one.text}\n`;
    });
    return `${blocks.join("")}<<${batch.tag}:end>>`;
  }
  if (conversation.schema) return JSON.stringify(minimal_instance(conversation.schema));
  if (markers.say !== undefined) return markers.say;
  if (markers.answer) {
    return Array.from({ length: Number(markers.answer) }, (_, i) => `word${i + 1}`).join(" ");
  }
  if (conversation.tool_results.length) {
    return `With the tool's result: ${conversation.tool_results.map((r) => r.text).join("; ")}`;
  }
  if (conversation.images?.length) {
    const seen = conversation.images.map((i) => i.url ?? `${i.bytes} bytes of ${i.media_type}`);
    return `Saw ${seen.length} images: ${seen.join(", ")}`;
  }
  return answer_text(plain, style);
}

/**
 * Token counts from words. Details are parts of `input` and `output`; each vendor then subtracts or adds as its
 * own convention says. `shape` is the usage marker or "plain".
 */
function usage_of(conversation, text, tool_calls, markers) {
  const images = conversation.images?.length ?? 0;
  const spoken = count_words(text) + tool_calls.reduce((sum, call) => sum + count_words(call.arguments), 0);
  const shape = markers.usage ?? "plain";
  const usage = {
    shape,
    input: conversation.texts.reduce((sum, part) => sum + count_words(part), 0) + images * kTokensPerImage,
    cached: 0,
    cache_write: 0,
    audio_input: 0,
    output: Math.max(1, spoken),
    reasoning: 0,
    audio_output: 0,
  };
  if (shape === "cached") {
    usage.cached = Math.floor(usage.input / 2);
    usage.cache_write = Math.floor(usage.input / 4);
  } else if (shape === "reasoning") {
    usage.reasoning = kReasoningTokens;
    usage.output += kReasoningTokens;
  } else if (shape === "audio") {
    usage.audio_input = kAudioTokens;
    usage.audio_output = kAudioTokens;
    usage.input += kAudioTokens;
    usage.output += kAudioTokens;
  }
  return usage;
}

/** {bytes, media_type} of a data URL, or {url} of any other; null when a data URL is broken. */
export function describe_image_url(url) {
  if (!url.startsWith("data:")) return { url };
  const match = /^data:([^;,]+);base64,([A-Za-z0-9+/]+={0,2})$/.exec(url);
  return match ? { media_type: match[1], bytes: Buffer.from(match[2], "base64").length } : null;
}
