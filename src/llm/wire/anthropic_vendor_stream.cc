// Reads Anthropic's streams.
#include <algorithm>
#include <array>

#include "llm/wire/anthropic.h"
#include "net/sse/parser.h"

namespace asahi::llm::wire {
namespace {

constexpr std::string_view kVendor = "Anthropic";

/// The answer is whole after message_stop and not before.
class AnthropicStreamDecoder final : public StreamDecoder {
 public:
  Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) override {
    if (done_) return {};
    frames_.clear();
    if (auto ok = parser_.feed(bytes, frames_); !ok) return ok;
    for (auto& frame : frames_) {
      if (auto ok = take(frame, out); !ok) return ok;
      if (done_) break;
    }
    return {};
  }

  Result<void> finish(std::vector<StreamEvent>&) override {
    if (done_) return {};
    return stream_cut(kVendor);
  }

 private:
  using Kind = StreamEvent::Kind;

  enum class Block { kOther, kText, kThinking, kTool, kAnswer };
  struct OpenBlock {
    std::int64_t index;
    Block kind;
    std::size_t tool_index = 0;
    bool has_arguments = false;
  };

  Result<void> take(sse::Event& frame, std::vector<StreamEvent>& out) {
    if (frame.data.empty()) return {};
    // Most frames fit into the buffer, so that reading one allocates nothing.
    json::monotonic_resource arena(buffer_.data(), buffer_.size());
    json::error_code code;
    json::parse_options options;
    options.max_depth = 64;
    const json::value value = json::parse(frame.data, code, &arena, options);
    if (code) return garbage(kVendor, "an event is not valid JSON");
    const auto* root = value.if_object();
    if (root == nullptr) return garbage(kVendor, "an event is not a JSON object");
    const std::string_view type = string_at(*root, "type");
    if (type == "error" || frame.event == "error") return error_in(*root);

    const std::size_t first = out.size();
    bool closes = false;
    if (type == "message_start") {
      read_start(*root, out);
    } else if (type == "content_block_start") {
      read_block_start(*root, out);
    } else if (type == "content_block_delta") {
      read_block_delta(*root, out);
    } else if (type == "content_block_stop") {
      read_block_stop(*root, out);
    } else if (type == "message_delta") {
      closes = true;
      read_message_delta(*root, out);
    } else if (type == "message_stop") {
      done_ = true;
      out.emplace_back().kind = Kind::kDone;
      return {};
    }
    if (out.size() == first) out.emplace_back();  // kOther
    for (std::size_t i = first + 1; i < out.size(); ++i) out[i].frame_follows = true;
    auto& begins = out[first];
    begins.has_raw = true;
    begins.raw_shape = Shape::kAnthropic;
    begins.raw_closes = closes;
    begins.raw_event = type;
    begins.raw = std::move(frame.data);
    return {};
  }

  static Result<void> error_in(const json::object& root) {
    const auto* error = object_at(root, "error");
    if (error == nullptr) return std::unexpected(vendor_error_of_type({}, {}));
    return std::unexpected(
        vendor_error_of_type(string_at(*error, "type"), string_at(*error, "message")));
  }

  void read_start(const json::object& root, std::vector<StreamEvent>& out) {
    const auto* message = object_at(root, "message");
    if (message == nullptr) return;
    auto& event = out.emplace_back();
    event.kind = Kind::kStart;
    event.id = string_at(*message, "id");
    event.model = string_at(*message, "model");
    if (const auto* usage = object_at(*message, "usage")) {
      usage_.update(*usage);
      event.usage = usage_.normalised();
    }
  }

  OpenBlock* block_at(const json::object& root) {
    const auto found = std::ranges::find(blocks_, int_at(root, "index"), &OpenBlock::index);
    return found == blocks_.end() ? nullptr : &*found;
  }

  static void add(Kind kind, std::string_view text, std::vector<StreamEvent>& out) {
    if (text.empty()) return;
    auto& event = out.emplace_back();
    event.kind = kind;
    event.text = text;
  }

  void read_block_start(const json::object& root, std::vector<StreamEvent>& out) {
    const auto* content = object_at(root, "content_block");
    if (content == nullptr) return;
    const std::string_view type = string_at(*content, "type");
    OpenBlock block{int_at(root, "index"), Block::kOther};
    if (type == "text") {
      block.kind = Block::kText;
      add(Kind::kText, string_at(*content, "text"), out);
    } else if (type == "thinking") {
      block.kind = Block::kThinking;
      add(Kind::kReasoning, string_at(*content, "thinking"), out);
    } else if (type == "redacted_thinking") {
      auto& event = out.emplace_back();
      event.kind = Kind::kReasoning;
      event.encrypted = string_at(*content, "data");
    } else if (type == "tool_use") {
      const std::string_view name = string_at(*content, "name");
      if (name.starts_with(kAnswerToolPrefix)) {
        block.kind = Block::kAnswer;
        answered_by_tool_ = true;
      } else {
        block.kind = Block::kTool;
        block.tool_index = tool_calls_++;
        auto& event = out.emplace_back();
        event.kind = Kind::kToolCallStart;
        event.tool_index = block.tool_index;
        event.tool_id = string_at(*content, "id");
        event.tool_name = name;
      }
    }
    blocks_.push_back(block);
  }

  void read_block_delta(const json::object& root, std::vector<StreamEvent>& out) {
    const auto* delta = object_at(root, "delta");
    auto* block = block_at(root);
    if (delta == nullptr || block == nullptr) return;
    const std::string_view type = string_at(*delta, "type");
    if (type == "text_delta") {
      add(Kind::kText, string_at(*delta, "text"), out);
    } else if (type == "thinking_delta") {
      add(Kind::kReasoning, string_at(*delta, "thinking"), out);
    } else if (type == "signature_delta") {
      auto& event = out.emplace_back();
      event.kind = Kind::kReasoning;
      event.signature = string_at(*delta, "signature");
    } else if (type == "input_json_delta") {
      const std::string_view piece = string_at(*delta, "partial_json");
      if (piece.empty()) return;
      block->has_arguments = true;
      if (block->kind == Block::kAnswer) {
        add(Kind::kText, piece, out);
      } else if (block->kind == Block::kTool) {
        add_arguments(*block, piece, out);
      }
    }
  }

  static void add_arguments(const OpenBlock& block, std::string_view piece,
                            std::vector<StreamEvent>& out) {
    auto& event = out.emplace_back();
    event.kind = Kind::kToolCallDelta;
    event.tool_index = block.tool_index;
    event.text = piece;
  }

  void read_block_stop(const json::object& root, std::vector<StreamEvent>& out) {
    auto* block = block_at(root);
    if (block == nullptr) return;
    // A call without arguments streams nothing where the unstreamed answer says {}.
    if (!block->has_arguments && block->kind == Block::kTool) add_arguments(*block, "{}", out);
    if (!block->has_arguments && block->kind == Block::kAnswer) add(Kind::kText, "{}", out);
    blocks_.erase(blocks_.begin() + (block - blocks_.data()));
  }

  void read_message_delta(const json::object& root, std::vector<StreamEvent>& out) {
    if (const auto* delta = object_at(root, "delta")) {
      if (const auto reason = string_at(*delta, "stop_reason"); !reason.empty()) {
        auto& event = out.emplace_back();
        event.kind = Kind::kFinish;
        event.finish = anthropic_finish(reason);
        if (answered_by_tool_ && tool_calls_ == 0 && event.finish == FinishReason::kToolCalls) {
          event.finish = FinishReason::kStop;
        }
        event.stop_sequence = string_at(*delta, "stop_sequence");
      }
    }
    if (const auto* usage = object_at(root, "usage")) {
      usage_.update(*usage);
      auto& event = out.emplace_back();
      event.kind = Kind::kUsage;
      event.usage = usage_.normalised();
    }
  }

  sse::Parser parser_;
  std::vector<sse::Event> frames_;
  std::array<unsigned char, 8192> buffer_;
  std::vector<OpenBlock> blocks_;
  AnthropicUsage usage_;
  std::size_t tool_calls_ = 0;
  bool answered_by_tool_ = false;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<StreamDecoder> make_anthropic_stream_decoder() {
  return std::make_unique<AnthropicStreamDecoder>();
}

}  // namespace asahi::llm::wire
