// Streamed answers for clients of POST /v1/responses.
//
// Events of a Responses vendor go to the client as they came; its last one is held back until
// finish() adds `asahi`. Events of other vendors become OpenAI's: items opened, filled and closed
// one after the other, function calls side by side, as their pieces may come mixed.
#include <fmt/format.h>

#include <map>

#include "llm/wire/openai_chat.h"
#include "llm/wire/openai_responses.h"
#include "llm/wire/stream_frame.h"
#include "net/http/server.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire::responses {
namespace {

using Kind = StreamEvent::Kind;

struct Item {
  enum class Type { kMessage, kReasoning, kCall } type = Type::kMessage;
  std::string id;
  std::size_t output_index = 0;
  std::string text;       ///< of the open part; of a thought; the arguments of a call
  std::string content;    ///< the closed parts of a message, JSON
  std::size_t parts = 0;  ///< closed ones
  enum class Part { kNone, kText, kRefusal } part = Part::kNone;
  std::string encrypted;
  std::string call_id, name;
  std::string final_json;  ///< set when the item is closed
};

class ResponsesStreamEncoder final : public StreamEncoder {
 public:
  ResponsesStreamEncoder(const ChatRequest& request, std::string id, std::string model,
                         std::int64_t created)
      : writer_(request, std::move(id), std::move(model), created) {}

  void encode(const StreamEvent& event, std::string& out) override {
    if (event.has_raw && event.raw_shape == Shape::kOpenAiResponses && may_forward(event)) {
      forward(event, out);
      return;
    }
    if (forwarding_ && event.frame_follows) return;  // its frame is out already
    // Another vendor goes on in mid-stream: its items come behind those that are out.
    if (event.kind == Kind::kStart || is_frameless(event)) forwarding_ = false;
    build(event, out);
  }

  void finish(const ChatResponse& final, const Extras& extras, std::string& out) override {
    if (forwarding_ && !held_.empty() && finish_held(extras, out)) return;
    if (!begun_) begin(out);
    if (items_.empty() && forwarded_items_ == 0) replay(final, out);
    close_all(final.finish, out);
    std::string output = forwarded_ ? output_of(final) : joined_items();
    const std::string_view status = status_of(final.finish);
    begin_event(out, fmt::format("response.{}", status));
    JsonOut json(out);
    writer_.write(json.key("response"), status, final.finish, output, &final.usage, extras);
    end_event(out);
  }

  void fail(const Error& error, std::string_view, std::string& out) override {
    const int status = http::http_status(error.code);
    const std::string body = openai_error_body(error, status);
    const auto parsed = parse_json(body);
    const auto* object = parsed ? object_at(parsed->get_object(), "error") : nullptr;
    begin_event(out, "error");
    JsonOut json(out);
    if (object != nullptr) {
      // OpenAI's documents have the fields flat; its SDKs raise what stands below `error`.
      for (const std::string_view key : {"code", "message", "param"})
        json.member(key, object->at(key));
      json.member("error", json::value(*object));
    }
    end_event(out);
  }

 private:
  /// Frames are forwarded as long as all of them come from one vendor stream, from its beginning.
  bool may_forward(const StreamEvent& event) {
    if (!begun_) return forwarding_ = forwarded_ = true;
    if (event.kind == Kind::kStart) forwarding_ = false;
    return forwarding_;
  }

  void forward(const StreamEvent& event, std::string& out) {
    begun_ = true;
    ++sequence_;
    if (event.raw_event == "response.output_item.added") ++forwarded_items_;
    if (event.raw_closes) {
      held_ = event.raw;
      held_event_ = event.raw_event;
      return;
    }
    sse::append_event(out, event.raw_event, event.raw);
  }

  bool finish_held(const Extras& extras, std::string& out) {
    const auto parsed = parse_json(held_);
    const auto* event = parsed ? parsed->if_object() : nullptr;
    const auto* response = event == nullptr ? nullptr : object_at(*event, "response");
    if (response == nullptr) return false;
    std::string text;
    JsonOut json(text);
    json.open_object();
    for (const auto& member : *event) {
      if (member.key() != "response") json.member(member.key(), member.value());
    }
    json.key("response").open_object();
    for (const auto& member : *response) {
      if (member.key() != "asahi") json.member(member.key(), member.value());
    }
    if (!extras.empty()) json.key("asahi").raw(extras);
    json.close_object().close_object();
    sse::append_event(out, held_event_, text);
    return true;
  }

  void build(const StreamEvent& event, std::string& out) {
    if (!begun_) begin(out);
    switch (event.kind) {
      case Kind::kText:
        add_text(Item::Part::kText, event.text, out);
        return;
      case Kind::kRefusal:
        add_text(Item::Part::kRefusal, event.text, out);
        return;
      case Kind::kReasoning:
        add_thought(event, out);
        return;
      case Kind::kToolCallStart:
        open_call(event, out);
        return;
      case Kind::kToolCallDelta:
        add_arguments(event, out);
        return;
      case Kind::kStart:
      case Kind::kFinish:
      case Kind::kUsage:
      case Kind::kDone:
      case Kind::kOther:
        return;  // finish() has the totals
    }
  }

  void begin(std::string& out) {
    begun_ = true;
    for (const std::string_view type : {"response.created", "response.in_progress"}) {
      begin_event(out, type);
      JsonOut json(out);
      writer_.write(json.key("response"), "in_progress", FinishReason::kUnknown, "[]", nullptr, {});
      end_event(out);
    }
  }

  void begin_event(std::string& out, std::string_view type) {
    fmt::format_to(std::back_inserter(out),
                   R"(event: {0}{1}data: {{"type":"{0}","sequence_number":{2})", type, '\n',
                   sequence_++);
  }
  static void end_event(std::string& out) { out += "}\n\n"; }

  void begin_item_event(std::string& out, std::string_view type, const Item& item) {
    begin_event(out, type);
    JsonOut(out)
        .member("item_id", item.id)
        .member("output_index", static_cast<std::int64_t>(item.output_index));
  }

  void begin_part_event(std::string& out, std::string_view type, const Item& item) {
    begin_item_event(out, type, item);
    JsonOut(out).member("content_index", static_cast<std::int64_t>(item.parts));
  }

  Item& open_item(Item::Type type, std::string_view prefix) {
    Item& item = items_.emplace_back();
    item.type = type;
    item.output_index = forwarded_items_ + items_.size() - 1;
    item.id = writer_.item_id(prefix, item.output_index);
    return item;
  }

  void announce(const Item& item, std::string_view item_json, std::string& out) {
    begin_event(out, "response.output_item.added");
    JsonOut(out)
        .member("output_index", static_cast<std::int64_t>(item.output_index))
        .key("item")
        .raw(item_json);
    end_event(out);
  }

  /// The message or thought that is being written; null when the last item is another kind.
  Item* open_of(Item::Type type) {
    if (items_.empty() || items_.back().type != type || !items_.back().final_json.empty())
      return nullptr;
    return &items_.back();
  }

  void close_last(std::string& out) {
    if (items_.empty() || items_.back().type == Item::Type::kCall) return;
    close(items_.back(), "completed", out);
  }

  void add_text(Item::Part part, std::string_view piece, std::string& out) {
    if (piece.empty()) return;
    Item* item = open_of(Item::Type::kMessage);
    if (item == nullptr) {
      close_last(out);
      item = &open_item(Item::Type::kMessage, "msg");
      announce(*item, message_json(*item, "in_progress"), out);
    }
    if (item->part != part) {
      close_part(*item, out);
      open_part(*item, part, out);
    }
    item->text += piece;
    const bool is_text = part == Item::Part::kText;
    begin_part_event(out, is_text ? "response.output_text.delta" : "response.refusal.delta", *item);
    JsonOut json(out);
    json.member("delta", piece);
    if (is_text) json.key("logprobs").open_array().close_array();
    end_event(out);
  }

  void open_part(Item& item, Item::Part part, std::string& out) {
    item.part = part;
    item.text.clear();
    begin_part_event(out, "response.content_part.added", item);
    JsonOut json(out);
    json.key("part");
    write_part(json, item);
    end_event(out);
  }

  static void write_part(JsonOut& json, const Item& item) {
    if (item.part == Item::Part::kText) {
      write_text_part(json, item.text);
    } else {
      write_refusal_part(json, item.text);
    }
  }

  void close_part(Item& item, std::string& out) {
    if (item.part == Item::Part::kNone) return;
    const bool is_text = item.part == Item::Part::kText;
    begin_part_event(out, is_text ? "response.output_text.done" : "response.refusal.done", item);
    JsonOut json(out);
    json.member(is_text ? "text" : "refusal", item.text);
    if (is_text) json.key("logprobs").open_array().close_array();
    end_event(out);
    std::string part_json;
    JsonOut part_out(part_json);
    write_part(part_out, item);
    begin_part_event(out, "response.content_part.done", item);
    JsonOut(out).key("part").raw(part_json);
    end_event(out);
    if (!item.content.empty()) item.content += ',';
    item.content += part_json;
    ++item.parts;
    item.part = Item::Part::kNone;
  }

  void add_thought(const StreamEvent& event, std::string& out) {
    const auto encrypted =
        writer_.wants_encrypted() ? encrypted_of(event.signature, event.encrypted) : std::string();
    if (event.text.empty() && encrypted.empty()) return;
    Item* item = open_of(Item::Type::kReasoning);
    if (item != nullptr && !item->encrypted.empty()) item = nullptr;  // a seal ends its thought
    if (item == nullptr) {
      close_last(out);
      item = &open_item(Item::Type::kReasoning, "rs");
      announce(*item, reasoning_json(*item), out);
    }
    if (!event.text.empty()) add_summary(*item, event.text, out);
    item->encrypted += encrypted;
  }

  void begin_summary_event(std::string& out, std::string_view type, const Item& item) {
    begin_item_event(out, type, item);
    JsonOut(out).member("summary_index", std::int64_t{0});
  }

  static void write_summary_part(JsonOut& json, std::string_view text) {
    json.key("part")
        .open_object()
        .member("type", "summary_text")
        .member("text", text)
        .close_object();
  }

  void add_summary(Item& item, std::string_view piece, std::string& out) {
    if (item.text.empty()) {
      begin_summary_event(out, "response.reasoning_summary_part.added", item);
      JsonOut json(out);
      write_summary_part(json, "");
      end_event(out);
    }
    item.text += piece;
    begin_summary_event(out, "response.reasoning_summary_text.delta", item);
    JsonOut(out).member("delta", piece);
    end_event(out);
  }

  void open_call(const StreamEvent& event, std::string& out) {
    if (calls_.contains(event.tool_index)) return;
    close_last(out);
    Item& item = open_item(Item::Type::kCall, "fc");
    item.call_id = event.tool_id;
    item.name = event.tool_name;
    calls_.emplace(event.tool_index, items_.size() - 1);
    announce(item, call_json(item, "in_progress"), out);
  }

  void add_arguments(const StreamEvent& event, std::string& out) {
    if (event.text.empty()) return;
    if (!calls_.contains(event.tool_index)) open_call(event, out);
    Item& item = items_[calls_.at(event.tool_index)];
    item.text += event.text;
    begin_item_event(out, "response.function_call_arguments.delta", item);
    JsonOut(out).member("delta", event.text);
    end_event(out);
  }

  void close_all(FinishReason finish, std::string& out) {
    const bool cut = finish == FinishReason::kLength || finish == FinishReason::kContentFilter;
    for (Item& item : items_) {
      const bool message = item.type == Item::Type::kMessage;
      close(item, message && cut ? "incomplete" : "completed", out);
    }
  }

  void close(Item& item, std::string_view status, std::string& out) {
    if (!item.final_json.empty()) return;
    switch (item.type) {
      case Item::Type::kMessage:
        close_part(item, out);
        item.final_json = message_json(item, status);
        break;
      case Item::Type::kReasoning:
        close_summary(item, out);
        item.final_json = reasoning_json(item);
        break;
      case Item::Type::kCall:
        begin_item_event(out, "response.function_call_arguments.done", item);
        JsonOut(out).member("name", item.name).member("arguments", item.text);
        end_event(out);
        item.final_json = call_json(item, status);
    }
    begin_event(out, "response.output_item.done");
    JsonOut(out)
        .member("output_index", static_cast<std::int64_t>(item.output_index))
        .key("item")
        .raw(item.final_json);
    end_event(out);
  }

  void close_summary(const Item& item, std::string& out) {
    if (item.text.empty()) return;
    begin_summary_event(out, "response.reasoning_summary_text.done", item);
    JsonOut(out).member("text", item.text);
    end_event(out);
    begin_summary_event(out, "response.reasoning_summary_part.done", item);
    JsonOut json(out);
    write_summary_part(json, item.text);
    end_event(out);
  }

  static std::string message_json(const Item& item, std::string_view status) {
    std::string text;
    JsonOut json(text);
    json.open_object().member("id", item.id).member("type", "message").member("status", status);
    json.member("role", "assistant").key("content").open_array();
    if (!item.content.empty()) json.raw(item.content);
    json.close_array().close_object();
    return text;
  }

  static std::string reasoning_json(const Item& item) {
    std::string text;
    JsonOut json(text);
    write_reasoning_item(json, item.id, item.text, item.encrypted);
    return text;
  }

  static std::string call_json(const Item& item, std::string_view status) {
    std::string text;
    JsonOut json(text);
    write_call_item(json, item.id, status, item.call_id, item.name, item.text);
    return text;
  }

  std::string joined_items() const {
    std::string out = "[";
    for (const Item& item : items_) {
      if (out.size() > 1) out += ',';
      out += item.final_json;
    }
    return out += ']';
  }

  /// After a change of vendors only the totals know the whole answer.
  std::string output_of(const ChatResponse& final) const {
    std::string text;
    JsonOut out(text);
    write_output(writer_, out, final.parts, final.finish);
    return text;
  }

  /// An answer that came as a whole.
  void replay(const ChatResponse& final, std::string& out) {
    std::size_t calls = 0;
    for (const Part& part : final.parts) {
      StreamEvent event;
      if (const auto* text = std::get_if<TextPart>(&part)) {
        add_text(Item::Part::kText, text->text, out);
      } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
        add_text(Item::Part::kRefusal, refusal->text, out);
      } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
        event.text = thought->text;
        event.signature = thought->signature;
        event.encrypted = thought->encrypted;
        add_thought(event, out);
      } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
        event.tool_index = calls++;
        event.tool_id = call->id;
        event.tool_name = call->name;
        open_call(event, out);
        event.text = call->arguments;
        add_arguments(event, out);
      }
    }
  }

  ResponseWriter writer_;
  std::int64_t sequence_ = 0;
  bool begun_ = false;
  bool forwarding_ = false;
  bool forwarded_ = false;  ///< some frames went out as they came
  std::size_t forwarded_items_ = 0;
  std::string held_, held_event_;
  std::vector<Item> items_;
  std::map<std::size_t, std::size_t> calls_;  ///< position in items_ by the vendor's index
};

}  // namespace

std::unique_ptr<StreamEncoder> make_stream_encoder(const ChatRequest& request, std::string id,
                                                   std::string model, std::int64_t created) {
  return std::make_unique<ResponsesStreamEncoder>(request, std::move(id), std::move(model),
                                                  created);
}

}  // namespace asahi::llm::wire::responses
