// Streamed answers for clients of POST /v1/chat/completions.
//
// A frame of an OpenAI-shaped vendor goes to the client as it came. The frame with the finish
// reason and the one with the usage are held back: finish() writes them as one last chunk together
// with `asahi`. As soon as the vendor changes in mid-stream the chunks are built from the events
// instead, so that `id` and `model` stay the same over the whole stream.
#include "llm/wire/openai_chat.h"
#include "llm/wire/stream_frame.h"
#include "net/http/server.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire {
namespace {

class OpenAiChatStreamEncoder final : public StreamEncoder {
 public:
  OpenAiChatStreamEncoder(bool with_usage, std::string id, std::string model, std::int64_t created)
      : with_usage_(with_usage), id_(std::move(id)), model_(std::move(model)), created_(created) {}

  void encode(const StreamEvent& event, std::string& out) override {
    if (event.has_raw && event.raw_shape == Shape::kOpenAiChat && may_forward(event)) {
      forward(event, out);
      return;
    }
    if (forwarding_ && event.frame_follows) return;  // its frame is out already
    if (is_frameless(event) || (event.kind == Kind::kStart && begun_)) forwarding_ = false;
    build(event, out);
  }

  void finish(const ChatResponse& final, const Extras& extras, std::string& out) override {
    if (!forwarding_ || held_finish_.empty() || !finish_held_frame(final, extras, out)) {
      finish_built(final, extras, out);
    }
    sse::append_event(out, {}, "[DONE]");
  }

  void fail(const Error& error, std::string_view, std::string& out) override {
    sse::append_event(out, {}, openai_error_body(error, http::http_status(error.code)));
  }

 private:
  using Kind = StreamEvent::Kind;

  /// Frames are forwarded as long as all of them come from one vendor stream, from its beginning.
  bool may_forward(const StreamEvent& event) {
    if (!begun_) return forwarding_ = true;
    if (event.kind == Kind::kStart && forwarding_ && vendor_named_) forwarding_ = false;
    return forwarding_;
  }

  void forward(const StreamEvent& event, std::string& out) {
    begun_ = true;
    role_sent_ = true;
    if (event.kind == Kind::kStart) {
      // Everything that is built later has to carry the same names as the frames.
      vendor_named_ = true;
      if (!event.id.empty()) id_ = event.id;
      if (!event.model.empty()) model_ = event.model;
    }
    if (!event.raw_closes) {
      sse::append_event(out, {}, event.raw);
      return;
    }
    hold(event, out);
  }

  /// Sorts a frame with a finish reason or usage: the finish frame waits for finish(), of the usage
  /// frame only the usage waits, and what else such a frame says goes out now.
  void hold(const StreamEvent& event, std::string& out) {
    const auto parsed = parse_json(event.raw);
    const auto* frame = parsed ? parsed->if_object() : nullptr;
    if (frame == nullptr) return;
    if (const auto* usage = openai_usage_object(*frame)) held_usage_ = write_json(*usage);
    const auto* choices = array_at(*frame, "choices");
    if (choices == nullptr || choices->empty()) return;
    const auto* choice = choices->front().if_object();
    if (choice != nullptr && find(*choice, "finish_reason") != nullptr) {
      held_finish_ = event.raw;
      return;
    }
    std::string text;
    JsonOut json(text);
    json.open_object();
    copy_members(*frame, json);
    json.close_object();
    sse::append_event(out, {}, text);
  }

  static void copy_members(const json::object& frame, JsonOut& json) {
    for (const auto& member : frame) {
      const std::string_view key = member.key();
      if (key != "usage" && key != "x_groq" && key != "asahi") json.member(key, member.value());
    }
  }

  bool finish_held_frame(const ChatResponse& final, const Extras& extras, std::string& out) {
    const auto parsed = parse_json(held_finish_);
    const auto* frame = parsed ? parsed->if_object() : nullptr;
    if (frame == nullptr) return false;
    std::string text;
    JsonOut json(text);
    json.open_object();
    copy_members(*frame, json);
    if (with_usage_) {
      json.key("usage");
      if (held_usage_.empty()) {
        write_openai_usage(json, final.usage);
      } else {
        json.raw(held_usage_);
      }
    }
    if (!extras.empty()) json.key("asahi").raw(extras);
    json.close_object();
    sse::append_event(out, {}, text);
    return true;
  }

  void finish_built(const ChatResponse& final, const Extras& extras, std::string& out) {
    send_role(out);
    std::string text = prefix();
    text += "{},\"logprobs\":null,\"finish_reason\":";
    append_json_string(text, openai_finish_word(final.finish));
    text += "}]";
    JsonOut json(text);
    if (with_usage_) {
      json.key("usage");
      write_openai_usage(json, final.usage);
    }
    if (!extras.empty()) json.key("asahi").raw(extras);
    json.close_object();
    sse::append_event(out, {}, text);
  }

  void build(const StreamEvent& event, std::string& out) {
    begun_ = true;
    switch (event.kind) {
      case Kind::kStart:
        send_role(out);
        return;
      case Kind::kText:
        text_chunk("content", event.text, out);
        return;
      case Kind::kRefusal:
        text_chunk("refusal", event.text, out);
        return;
      case Kind::kReasoning:
        reasoning_chunk(event, out);
        return;
      case Kind::kToolCallStart: {
        send_role(out);
        std::string& text = begin_chunk();
        JsonOut json(text);
        json.open_object().key("tool_calls").open_array().open_object();
        json.member("index", static_cast<std::int64_t>(event.tool_index))
            .member("id", event.tool_id)
            .member("type", "function");
        json.key("function")
            .open_object()
            .member("name", event.tool_name)
            .member("arguments", "")
            .close_object();
        json.close_object().close_array().close_object();
        end_chunk(out);
        return;
      }
      case Kind::kToolCallDelta: {
        send_role(out);
        std::string& text = begin_chunk();
        JsonOut json(text);
        json.open_object().key("tool_calls").open_array().open_object();
        json.member("index", static_cast<std::int64_t>(event.tool_index));
        json.key("function").open_object().member("arguments", event.text).close_object();
        json.close_object().close_array().close_object();
        end_chunk(out);
        return;
      }
      case Kind::kFinish:
      case Kind::kUsage:
      case Kind::kDone:
      case Kind::kOther:
        return;  // finish() has the totals
    }
  }

  void text_chunk(std::string_view field, std::string_view piece, std::string& out) {
    if (piece.empty()) return;
    send_role(out);
    JsonOut(begin_chunk()).open_object().member(field, piece).close_object();
    end_chunk(out);
  }

  void reasoning_chunk(const StreamEvent& event, std::string& out) {
    send_role(out);
    JsonOut json(begin_chunk());
    json.open_object();
    if (!event.text.empty()) json.member("reasoning_content", event.text);
    if (!event.signature.empty() || !event.encrypted.empty()) {
      json.key("reasoning_details").open_array().open_object();
      if (event.encrypted.empty()) {
        json.member("type", "reasoning.text").member("signature", event.signature);
      } else {
        json.member("type", "reasoning.encrypted").member("data", event.encrypted);
      }
      json.close_object().close_array();
    }
    json.close_object();
    end_chunk(out);
  }

  void send_role(std::string& out) {
    if (role_sent_) return;
    role_sent_ = true;
    begin_chunk() += R"({"role":"assistant","content":"","refusal":null})";
    end_chunk(out);
  }

  std::string& begin_chunk() {
    chunk_ = prefix();
    return chunk_;
  }

  void end_chunk(std::string& out) {
    chunk_ += ",\"logprobs\":null,\"finish_reason\":null}]";
    if (with_usage_) chunk_ += ",\"usage\":null";
    chunk_ += '}';
    sse::append_event(out, {}, chunk_);
  }

  /// Everything up to the delta; the same for all chunks of a stream.
  const std::string& prefix() {
    if (prefix_.empty()) {
      JsonOut json(prefix_);
      json.open_object()
          .member("id", id_)
          .member("object", "chat.completion.chunk")
          .member("created", created_)
          .member("model", model_);
      json.key("system_fingerprint").null().key("choices").open_array().open_object();
      json.member("index", std::int64_t{0}).key("delta");
    }
    return prefix_;
  }

  bool with_usage_;
  std::string id_, model_;
  std::int64_t created_;
  bool begun_ = false;
  bool role_sent_ = false;
  bool forwarding_ = false;
  bool vendor_named_ = false;  ///< the kStart of the forwarded stream was seen
  std::string held_finish_, held_usage_;
  std::string prefix_, chunk_;
};

}  // namespace

std::unique_ptr<StreamEncoder> make_openai_chat_stream_encoder(const ChatRequest& request,
                                                               std::string id, std::string model,
                                                               std::int64_t created) {
  return std::make_unique<OpenAiChatStreamEncoder>(request.stream_usage, std::move(id),
                                                   std::move(model), created);
}

}  // namespace asahi::llm::wire
