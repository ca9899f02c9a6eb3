// Streamed answers for clients of POST /v1/messages.
//
// Anthropic's own frames go to the client as they came, except for message_delta and message_stop:
// finish() writes these. `asahi` is a field of message_stop, the last event. When the vendor
// changes in mid-stream the open block is closed and the rest is built from the events, with block
// numbers that go on.
#include <algorithm>
#include <vector>

#include "llm/wire/anthropic.h"
#include "llm/wire/openai_chat.h"
#include "llm/wire/stream_frame.h"
#include "net/http/server.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire {
namespace {

class AnthropicStreamEncoder final : public StreamEncoder {
 public:
  AnthropicStreamEncoder(std::string id, std::string model)
      : id_(std::move(id)), model_(std::move(model)) {}

  void encode(const StreamEvent& event, std::string& out) override {
    if (event.has_raw && event.raw_shape == Shape::kAnthropic && may_forward(event)) {
      forward(event, out);
      return;
    }
    if (forwarding_ && event.frame_follows) return;  // its frame is out already
    if (is_frameless(event)) forwarding_ = false;
    build(event, out);
  }

  void finish(const ChatResponse& final, const Extras& extras, std::string& out) override {
    send_start({}, out);
    close_block(out);
    if (forwarding_ && !held_delta_.empty()) {
      sse::append_event(out, "message_delta", held_delta_);
    } else {
      write_message_delta(final, out);
    }
    std::string text;
    JsonOut json(text);
    json.open_object().member("type", "message_stop");
    if (!extras.empty()) json.key("asahi").raw(extras);
    json.close_object();
    sse::append_event(out, "message_stop", text);
  }

  void fail(const Error& error, std::string_view request_id, std::string& out) override {
    sse::append_event(out, "error",
                      anthropic_error_body(error, http::http_status(error.code), request_id));
  }

 private:
  using Kind = StreamEvent::Kind;
  enum class Block { kNone, kText, kThinking, kTool, kForwarded };

  /// Frames are forwarded as long as all of them come from one vendor stream, from its beginning.
  bool may_forward(const StreamEvent& event) {
    if (!started_) return forwarding_ = true;
    if (event.kind == Kind::kStart) forwarding_ = false;
    return forwarding_;
  }

  void forward(const StreamEvent& event, std::string& out) {
    started_ = true;
    if (event.raw_closes) {
      // Only the last one waits for finish(): some proxies send stop reason and usage apart.
      if (!held_delta_.empty()) sse::append_event(out, "message_delta", held_delta_);
      held_delta_ = event.raw;
      return;
    }
    if (event.raw_event == "content_block_start") {
      open_ = Block::kForwarded;
      ++blocks_;
    } else if (event.raw_event == "content_block_stop") {
      open_ = Block::kNone;
    }
    sse::append_event(out, event.raw_event, event.raw);
  }

  void build(const StreamEvent& event, std::string& out) {
    switch (event.kind) {
      case Kind::kStart:
        forwarding_ = false;
        send_start(event.usage, out);
        return;
      case Kind::kText:
      case Kind::kRefusal:  // the shape has refusals as a stop reason only
        if (event.text.empty()) return;
        go_to(Block::kText, out);
        write_delta("text_delta", "text", event.text, out);
        return;
      case Kind::kReasoning:
        build_reasoning(event, out);
        return;
      case Kind::kToolCallStart:
        start_tool(event, out);
        return;
      case Kind::kToolCallDelta:
        continue_tool(event, out);
        return;
      case Kind::kFinish:
      case Kind::kUsage:
      case Kind::kDone:
      case Kind::kOther:
        return;  // finish() has the totals
    }
  }

  void build_reasoning(const StreamEvent& event, std::string& out) {
    if (!event.encrypted.empty()) {
      begin_block(Block::kThinking, out);
      JsonOut json(block_text_);
      json.open_object().member("type", "redacted_thinking").member("data", event.encrypted);
      json.close_object();
      send_block_start(out);
      close_block(out);
      return;
    }
    go_to(Block::kThinking, out);
    if (!event.text.empty()) write_delta("thinking_delta", "thinking", event.text, out);
    if (!event.signature.empty()) {
      write_delta("signature_delta", "signature", event.signature, out);
      close_block(out);
    }
  }

  void start_tool(const StreamEvent& event, std::string& out) {
    begin_block(Block::kTool, out);
    JsonOut json(block_text_);
    json.open_object()
        .member("type", "tool_use")
        .member("id", event.tool_id)
        .member("name", event.tool_name);
    json.key("input").open_object().close_object().close_object();
    send_block_start(out);
    tools_.emplace_back(event.tool_index, blocks_ - 1);
  }

  void continue_tool(const StreamEvent& event, std::string& out) {
    if (event.text.empty()) return;
    const auto tool =
        std::ranges::find(tools_, event.tool_index, &std::pair<std::size_t, std::int64_t>::first);
    if (tool == tools_.end()) return;
    write_delta_at(tool->second, "input_json_delta", "partial_json", event.text, out);
  }

  void send_start(const Usage& usage, std::string& out) {
    if (started_) return;
    started_ = true;
    std::string text;
    JsonOut json(text);
    json.open_object().member("type", "message_start").key("message").open_object();
    json.member("id", id_).member("type", "message").member("role", "assistant");
    json.member("model", model_).key("content").open_array().close_array();
    json.key("stop_reason").null().key("stop_sequence").null().key("usage");
    write_anthropic_usage(json, usage);
    json.close_object().close_object();
    sse::append_event(out, "message_start", text);
  }

  /// Continues the open block or begins one of that kind.
  void go_to(Block kind, std::string& out) {
    if (open_ == kind) return;
    begin_block(kind, out);
    block_text_ = kind == Block::kText ? R"({"type":"text","text":""})"
                                       : R"({"type":"thinking","thinking":"","signature":""})";
    send_block_start(out);
  }

  void begin_block(Block kind, std::string& out) {
    send_start({}, out);
    close_block(out);
    open_ = kind;
    ++blocks_;
    block_text_.clear();
  }

  void send_block_start(std::string& out) {
    text_.clear();
    JsonOut json(text_);
    json.open_object().member("type", "content_block_start").member("index", blocks_ - 1);
    json.key("content_block").raw(block_text_).close_object();
    sse::append_event(out, "content_block_start", text_);
  }

  void close_block(std::string& out) {
    if (open_ == Block::kNone) return;
    open_ = Block::kNone;
    text_.clear();
    JsonOut json(text_);
    json.open_object().member("type", "content_block_stop").member("index", blocks_ - 1);
    json.close_object();
    sse::append_event(out, "content_block_stop", text_);
  }

  void write_delta(std::string_view type, std::string_view field, std::string_view piece,
                   std::string& out) {
    write_delta_at(blocks_ - 1, type, field, piece, out);
  }

  void write_delta_at(std::int64_t index, std::string_view type, std::string_view field,
                      std::string_view piece, std::string& out) {
    text_.clear();
    JsonOut json(text_);
    json.open_object().member("type", "content_block_delta").member("index", index).key("delta");
    json.open_object().member("type", type).member(field, piece).close_object().close_object();
    sse::append_event(out, "content_block_delta", text_);
  }

  static void write_message_delta(const ChatResponse& final, std::string& out) {
    std::string text;
    JsonOut json(text);
    json.open_object().member("type", "message_delta").key("delta").open_object();
    json.member("stop_reason", anthropic_stop_reason(final.finish, final.stop_sequence));
    json.key("stop_sequence");
    if (final.stop_sequence.empty()) {
      json.null();
    } else {
      json.string(final.stop_sequence);
    }
    json.close_object().key("usage");
    write_anthropic_usage(json, final.usage);
    json.close_object();
    sse::append_event(out, "message_delta", text);
  }

  std::string id_, model_;
  bool started_ = false;
  bool forwarding_ = false;
  std::string held_delta_;
  std::int64_t blocks_ = 0;  ///< begun so far, forwarded ones included
  Block open_ = Block::kNone;
  std::vector<std::pair<std::size_t, std::int64_t>> tools_;  ///< tool index to block index
  std::string block_text_, text_;
};

}  // namespace

std::unique_ptr<StreamEncoder> make_anthropic_stream_encoder(std::string id, std::string model) {
  return std::make_unique<AnthropicStreamEncoder>(std::move(id), std::move(model));
}

}  // namespace asahi::llm::wire
