/** The four ways clients ask for a chat, reduced to what tests compare: the body to send, the text and error that came. */
import { sse_frames } from "./sse.mjs";

const user = (prompt) => [{ role: "user", content: prompt }];

export const kShapes = {
  native: {
    path: "/infer",
    body: (prompt) => ({ prompt }),
    text: (reply) => reply.response,
    id: (reply) => reply.response_id,
    extras: (reply) => reply,
    piece: (event) => (event.type === "token" ? event.text : ""),
    finished: (frames) => frames.at(-1)?.data === "[DONE]",
  },
  openai_chat: {
    path: "/v1/chat/completions",
    body: (prompt) => ({ model: "auto", messages: user(prompt) }),
    text: (reply) => reply.choices[0].message.content,
    id: (reply) => reply.id,
    extras: (reply) => reply.asahi,
    piece: (event) => event.choices?.[0]?.delta?.content ?? "",
    finished: (frames) => frames.at(-1)?.data === "[DONE]",
  },
  openai_responses: {
    path: "/v1/responses",
    body: (prompt) => ({ model: "auto", input: prompt }),
    text: (reply) => reply.output.find((item) => item.type === "message").content[0].text,
    id: (reply) => reply.id,
    extras: (reply) => reply.asahi,
    piece: (event) => (event.type === "response.output_text.delta" ? event.delta : ""),
    finished: (frames) => frames.some((frame) => frame.data.includes('"response.completed"')),
  },
  anthropic: {
    path: "/v1/messages",
    body: (prompt) => ({ model: "auto", max_tokens: 4000, messages: user(prompt) }),
    text: (reply) => reply.content.map((block) => block.text ?? "").join(""),
    id: (reply) => reply.id,
    extras: (reply) => reply.asahi,
    piece: (event) => (event.type === "content_block_delta" ? (event.delta.text ?? "") : ""),
    finished: (frames) => frames.at(-1)?.event === "message_stop",
  },
};

/** True for the frame by which a shape's clients learn of a failure. */
const is_error = (frame, event) =>
  frame.event === "error" ||
  event?.type === "error" ||
  event?.type === "response.failed" ||
  (event?.error !== undefined && event.error !== null);

/**
 * Streams one prompt and reads to the end.
 * Returns {status, text, pieces, frames, finished, error: frame or null, cut: whether the body ended improperly, reply}.
 */
export async function stream_prompt(gateway, shape_name, prompt, { body = {}, signal } = {}) {
  const shape = kShapes[shape_name];
  const response = await gateway.stream(shape.path, { ...shape.body(prompt), ...body, stream: true }, { signal });
  const result = { status: response.status, pieces: [], frames: [], error: null, cut: false };
  if (response.status !== 200) {
    result.reply = await response.json();
    return { ...result, text: "", finished: false };
  }
  try {
    for await (const frame of sse_frames(response)) {
      result.frames.push(frame);
      const event = frame.data === "[DONE]" ? undefined : JSON.parse(frame.data);
      if (is_error(frame, event)) result.error ??= { ...frame, event: event ?? frame.event };
      const piece = event ? shape.piece(event) : "";
      if (piece) result.pieces.push(piece);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
    result.cut = true;
  }
  return { ...result, text: result.pieces.join(""), finished: shape.finished(result.frames) };
}

/** The fakes' answer to a prompt with the marker [[answer:N]]. */
export const words = (count) => Array.from({ length: count }, (_, i) => `word${i + 1}`).join(" ");
