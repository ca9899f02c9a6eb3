/** Vendors of OpenAI's family as servers: one per dialect, with the endpoints that dialect has. */
import { BatchStore } from "./openai_batches.mjs";
import { chat_completion } from "./openai_chat.mjs";
import { kDialects, list_models } from "./openai_dialects.mjs";
import { embeddings } from "./openai_embeddings.mjs";
import { openai_error, openai_status_error } from "./openai_errors.mjs";
import { create_response, ResponseStore } from "./openai_responses.mjs";
import { json_reply, sse_data } from "./reply.mjs";

/** The server side of `name` ("openai", "deepseek", "mistral", "vercel"). */
export function make_openai_vendor(name) {
  const dialect = kDialects[name];
  const responses = new ResponseStore();
  const batches = new BatchStore();
  return {
    name,
    handle(method, path, body, headers, style, query, config = {}) {
      dialect.authenticate(headers);
      if (method === "GET" && path === "/v1/models") return list_models(dialect);
      if (method === "GET" && path.startsWith("/v1/models/"))
        return list_models(dialect, decodeURIComponent(path.slice(11)));
      if (method === "POST" && path === "/v1/chat/completions") return chat_completion(body, dialect, style);
      if (name === "openai" && method === "POST" && path === "/v1/responses")
        return create_response(body, responses, style);
      if (name === "openai" && method === "POST" && path === "/v1/embeddings") return embeddings(body);
      const batch =
        name === "openai" &&
        batches.handle(method, path, body, { headers, dialect, style, settings: config.batch, query });
      if (batch) return batch;
      return json_reply(openai_error(`Invalid URL (${method} ${path})`), 404);
    },
    bad_json: (message) =>
      json_reply(openai_error(`We could not parse the JSON body of your request. (${message})`), 400),
    status_error: openai_status_error,
    /** What an error inside a running stream looks like. */
    error_frame: (message) => sse_data(openai_status_error(500, message)),
  };
}
