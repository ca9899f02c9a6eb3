#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace asahi::llm {

/// The wire format a request came in or an answer came from.
enum class Shape {
  kNative,
  kOpenAiChat,
  kOpenAiCompletions,
  kOpenAiResponses,
  kAnthropic,
  kGoogle,
  kOllama,
  kMock
};
std::string_view to_string(Shape shape);

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool };
std::string_view to_string(Role role);

struct TextPart {
  std::string text;
  /// Anthropic `cache_control`, kept for vendors that know it.
  json::value cache_control;
};
/// Either `url` (http(s)) or `media_type` + `data` (base64) is set.
struct ImagePart {
  std::string url;
  std::string media_type;
  std::string data;
  std::string detail;  ///< OpenAI: "low", "high", "auto" or empty
};
struct AudioPart {
  std::string format;  ///< "wav", "mp3"
  std::string data;    ///< base64
};
struct FilePart {
  std::string file_id, url, media_type, data, name;
};
struct ToolCallPart {
  std::string id;
  std::string name;
  std::string arguments;  ///< JSON text as the model wrote it (may be invalid JSON)
};
struct ToolResultPart {
  std::string tool_call_id;
  std::string text;
  std::vector<ImagePart> images;
  bool is_error = false;
};
/// The model's visible thinking. `signature`/`encrypted` must travel back unchanged to its vendor.
struct ReasoningPart {
  std::string text;
  std::string signature;
  std::string encrypted;
};
struct RefusalPart {
  std::string text;
};
/// A content block that only vendors of `shape` know (server tools, search results …), kept as it
/// came.
struct OpaquePart {
  Shape shape = Shape::kNative;
  json::value value;
};
using Part = std::variant<TextPart, ImagePart, AudioPart, FilePart, ToolCallPart, ToolResultPart,
                          ReasoningPart, RefusalPart, OpaquePart>;

struct Message {
  Role role = Role::kUser;
  std::vector<Part> parts;
  std::string name;
  /// The text parts joined without separator.
  std::string text() const;
};

struct Tool {
  std::string name;
  std::string description;
  json::value parameters;  ///< JSON Schema; null: none given
  std::optional<bool> strict;
};
struct ToolChoice {
  enum class Mode { kUnset, kAuto, kNone, kRequired, kNamed } mode = Mode::kUnset;
  std::string name;
  std::optional<bool> parallel;
};
struct ResponseFormat {
  enum class Kind { kUnset, kText, kJsonObject, kJsonSchema } kind = Kind::kUnset;
  std::string name;
  std::string description;
  json::value schema;
  std::optional<bool> strict;
};
struct Reasoning {
  std::string effort;  ///< "minimal", "low", "medium", "high" or empty
  std::optional<std::int64_t> budget_tokens;
  bool include_summary = false;
};

/// One model call, free of any vendor's shape.
struct ChatRequest {
  std::string model;  ///< as the caller named it; the vendor call replaces it
  std::vector<Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  ResponseFormat format;
  Reasoning reasoning;
  std::optional<std::int64_t> max_tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;
  std::optional<std::int64_t> seed;
  std::vector<std::string> stop;
  std::string user;
  bool stream = false;
  /// Client asked for usage in the stream (OpenAI `stream_options.include_usage`).
  bool stream_usage = false;

  /// What the client sent, for vendors of the same shape: unknown and vendor-only fields pass
  /// through untouched. Null when the request was built by us.
  Shape shape = Shape::kNative;
  std::shared_ptr<const JsonDocument> original;
  /// `messages` no longer say what `original` says: vendors of the same shape get them re-encoded.
  bool messages_changed = false;
  /// What only a vendor of `shape` can do ("the tool web_search_20250305"); other vendors refuse
  /// the request. Empty: nothing.
  std::string vendor_only;
  /// `anthropic-beta` of the client's request; sent on to vendors of the same shape only.
  std::string anthropic_beta;
};

/// Token counts as billed. The details are parts of the totals, whatever the vendor's convention
/// was: `input` includes cached, cache-write and audio input; `output` includes reasoning and audio
/// output.
struct Usage {
  std::int64_t input = 0;
  std::int64_t cached_input = 0;       ///< read from the vendor's prompt cache
  std::int64_t cache_write_input = 0;  ///< written to it, 5-minute price (Anthropic)
  std::int64_t cache_write_1h_input =
      0;  ///< written to it, 1-hour price; not part of `cache_write_input`
  std::int64_t audio_input = 0;
  std::int64_t output = 0;
  std::int64_t reasoning_output = 0;
  std::int64_t audio_output = 0;
  /// False: the vendor sent none and the numbers are our estimate.
  bool reported = false;

  std::int64_t total() const { return input + output; }
  bool operator==(const Usage&) const = default;
};

enum class FinishReason { kStop, kLength, kToolCalls, kContentFilter, kError, kUnknown };
std::string_view to_string(
    FinishReason reason);  ///< OpenAI's words: stop, length, tool_calls, content_filter

struct ChatResponse {
  std::string id;
  std::string model;  ///< as the vendor named it
  std::vector<Part> parts;
  FinishReason finish = FinishReason::kStop;
  std::string stop_sequence;  ///< the one that ended it, where the vendor says
  Usage usage;

  /// What the vendor sent, for clients of the same shape.
  Shape shape = Shape::kNative;
  std::shared_ptr<const JsonDocument> original;

  std::string text() const;
};

/// One step of a streamed answer.
struct StreamEvent {
  enum class Kind {
    kStart,      ///< id, model (and for Anthropic the input usage so far)
    kText,       ///< `text` is a piece of the answer
    kReasoning,  ///< `text` is a piece of thinking; or `signature` or `encrypted` is set, ending
                 ///< its block
    kRefusal,    ///< `text` is a piece of a refusal
    kToolCallStart,  ///< `tool_index`, `tool_id`, `tool_name`
    kToolCallDelta,  ///< `tool_index`, `text` is a piece of the arguments
    kFinish,         ///< `finish`
    kUsage,          ///< `usage`: the latest totals; replaces what came before
    kDone,           ///< the vendor's own end mark: only now is the answer whole
    kOther,  ///< only `raw`: an event of no meaning to us, passed on to clients of the same shape
  };
  Kind kind = Kind::kOther;
  std::string id, model;
  std::string text;
  std::string signature;
  std::string encrypted;
  std::size_t tool_index = 0;
  std::string tool_id, tool_name;
  FinishReason finish = FinishReason::kUnknown;
  std::string stop_sequence;
  Usage usage;

  /// The vendor's frame: `data` of the SSE event (and its name). One frame may give several events;
  /// only the first carries it, the rest have it empty, so that passing `raw` on repeats nothing.
  std::string raw;
  std::string raw_event;
  bool has_raw = false;              ///< this event begins a vendor frame
  Shape raw_shape = Shape::kNative;  ///< the shape `raw` is in
  /// The frame also says how the answer ended or what it cost: what a client gets of that is
  /// decided at the end, so encoders hold such a frame back or rewrite it.
  bool raw_closes = false;
  bool frame_follows = false;  ///< this event belongs to the frame of an earlier event
};

/// Collects a stream into the answer it amounts to; the unstreamed twin of the same events.
class StreamCollector {
 public:
  void add(const StreamEvent& event);
  /// True once kDone was seen.
  bool complete() const { return done_; }
  /// Text given out so far (for restarts).
  const std::string& text() const { return text_; }
  bool has_tool_calls() const { return !tool_calls_.empty(); }
  /// The answer so far; parts are in the order in which they began.
  const ChatResponse& response() const { return response_; }

 private:
  template <class P>
  P& open_part();
  ToolCallPart& tool_call(std::size_t index);

  ChatResponse response_;
  std::string text_;
  /// Position in `response_.parts` of every tool call, by the vendor's index.
  std::vector<std::pair<std::size_t, std::size_t>> tool_calls_;
  bool reasoning_closed_ = false;
  bool done_ = false;
};

struct EmbeddingRequest {
  std::string model;
  std::vector<std::string> input;                 ///< texts …
  std::vector<std::vector<std::int64_t>> tokens;  ///< … or token ids (OpenAI only); one of the two
  std::optional<std::int64_t> dimensions;
  std::string user;
  /// Cohere: "search_document", "search_query", …; empty: search_document.
  std::string input_type;
};
struct EmbeddingResponse {
  std::string model;
  std::vector<std::vector<float>> vectors;
  Usage usage;
};

}  // namespace asahi::llm
