#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/codec.h"

namespace asahi::llm_testing {

/// What became of a streamed body.
struct Fed {
  std::vector<llm::StreamEvent> events;
  llm::ChatResponse response;
  bool complete = false;
  std::optional<Error> error;
};

/// Feeds `body` to the decoder in pieces of `piece` bytes (0: at once) and ends it.
Fed feed(llm::StreamDecoder& decoder, std::string_view body, std::size_t piece = 0);

/// {kind, text …} of an answer on one line each, for comparisons that print well.
std::string describe(const llm::ChatResponse& response);

/// A parsed request body, as the server hands it to a ClientCodec. Throws on bad JSON.
std::shared_ptr<const JsonDocument> document(std::string_view json_text);

/// The `data` of every SSE event of `text`, parsed. Throws on bad JSON.
std::vector<json::object> sse_objects(std::string_view text);

}  // namespace asahi::llm_testing
