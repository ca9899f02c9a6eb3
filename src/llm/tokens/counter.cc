#include "llm/tokens/counter.h"

#include <string>
#include <variant>

#include "llm/tokens/encoding.h"
#include "llm/vendor.h"

namespace asahi::llm {
namespace {

/// Adds up texts; stays failed after one that cannot be counted.
class Sum {
 public:
  explicit Sum(const Encoding& encoding) : encoding_(encoding) {}
  void add(std::string_view text) {
    if (failed_ || text.empty()) return;
    const auto counted = encoding_.count(text);
    if (counted) {
      tokens_ += *counted;
    } else {
      failed_ = true;
    }
  }
  void add(std::int64_t tokens) { tokens_ += tokens; }
  void add(const json::value& schema) {
    if (!schema.is_null()) add(write_json(schema));
  }
  bool failed() const { return failed_; }
  std::int64_t tokens() const { return tokens_; }

 private:
  const Encoding& encoding_;
  std::int64_t tokens_ = 0;
  bool failed_ = false;
};

/// False for parts whose tokens are not known.
bool add_part(Sum& sum, const Part& part) {
  if (const auto* text = std::get_if<TextPart>(&part)) {
    sum.add(text->text);
  } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
    sum.add(refusal->text);
  } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
    sum.add(result->text);
    return result->images.empty();
  } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
    sum.add(call->name);
    sum.add(call->arguments);
    return false;
  } else {
    return std::holds_alternative<ReasoningPart>(part);  // never sent back to OpenAI's chat models
  }
  return true;
}

}  // namespace

std::size_t text_bytes(const ChatRequest& request) {
  std::size_t bytes = 0;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) bytes += text->text.size();
      if (const auto* result = std::get_if<ToolResultPart>(&part)) bytes += result->text.size();
      if (const auto* refusal = std::get_if<RefusalPart>(&part)) bytes += refusal->text.size();
      if (const auto* call = std::get_if<ToolCallPart>(&part))
        bytes += call->name.size() + call->arguments.size();
    }
  }
  for (const Tool& tool : request.tools) bytes += tool.name.size() + tool.description.size();
  return bytes;
}

TokenCount VocabularyCounter::count(const ChatRequest& request, std::string_view model) const {
  const Encoding* const encoding = encoding_of(model);
  if (encoding == nullptr || text_bytes(request) > max_exact_bytes_)
    return {estimate_tokens(request), false};
  bool exact = request.tools.empty() && request.format.schema.is_null();
  Sum sum(*encoding);
  sum.add(3);
  for (const Message& message : request.messages) {
    sum.add(4);  // three around it, one for the role
    if (!message.name.empty()) {
      sum.add(1);
      sum.add(message.name);
    }
    for (const Part& part : message.parts) exact = add_part(sum, part) && exact;
  }
  for (const Tool& tool : request.tools) {
    sum.add(tool.name);
    sum.add(tool.description);
    sum.add(tool.parameters);
  }
  sum.add(request.format.schema);
  if (sum.failed()) return {estimate_tokens(request), false};
  return {sum.tokens(), exact};
}

TokenCount VocabularyCounter::count(std::string_view text, std::string_view model) const {
  const Encoding* const encoding = encoding_of(model);
  if (encoding != nullptr && text.size() <= max_exact_bytes_) {
    if (const auto counted = encoding->count(text)) return {*counted, true};
  }
  return {estimate_tokens(text), false};
}

}  // namespace asahi::llm
