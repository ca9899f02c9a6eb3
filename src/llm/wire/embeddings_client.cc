#include "llm/wire/embeddings_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "llm/wire/common.h"
#include "llm/wire/embedding_json.h"

namespace asahi::llm::wire {
namespace {

constexpr auto kFields = std::to_array<std::string_view>(
    {"dimensions", "encoding_format", "input", "input_type", "model", "user"});
constexpr auto kEncodings = std::to_array<std::string_view>({"float", "base64"});
constexpr auto kInputTypes = std::to_array<std::string_view>(
    {"search_document", "search_query", "classification", "clustering"});

void allow_known(const json::object& root, const Path& path, Check& check) {
  for (const auto& member : root) {
    const std::string_view key = member.key();
    if (!std::ranges::binary_search(kFields, key) && !is_gateway_field(key))
      check.unknown(path.field(key));
  }
}

bool read_token(const json::value& value, const Path& path, Check& check,
                std::vector<std::int64_t>& out) {
  if (!value.is_int64() || value.get_int64() < 0) {
    check.wrong_type(path, "a token id (an integer from 0)", value);
    return false;
  }
  out.push_back(value.get_int64());
  return true;
}

void read_tokens(const json::array& list, const Path& path, Check& check,
                 EmbeddingRequest& request) {
  if (list.empty())
    check.rule(path, fmt::format("'{}' is an empty list of tokens.", path.brackets()));
  std::vector<std::int64_t>& tokens = request.tokens.emplace_back();
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!read_token(list[i], path.element(i), check, tokens)) return;
  }
}

void read_element(const json::value& value, const Path& path, Check& check,
                  EmbeddingRequest& request) {
  if (const auto* text = value.if_string()) {
    if (text->empty()) check.rule(path, fmt::format("'{}' is an empty string.", path.brackets()));
    request.input.emplace_back(std::string_view(*text));
  } else if (const auto* tokens = value.if_array()) {
    read_tokens(*tokens, path, check, request);
  } else {
    check.wrong_type(path, "a string or an array of token ids", value);
    return;
  }
  if (!request.input.empty() && !request.tokens.empty()) {
    check.rule(path, "'input' mixes strings and token ids; send the one or the other.");
  }
}

void read_input(const json::value& input, const Path& path, Check& check,
                EmbeddingRequest& request) {
  const auto* list = input.if_array();
  if (list == nullptr) {
    if (!input.is_string()) {
      check.wrong_type(path, "a string, an array of strings, or token ids", input);
      return;
    }
    read_element(input, path, check, request);
    return;
  }
  if (list->empty()) {
    check.rule(path, "'input' is an empty array; send at least one text.");
    return;
  }
  if (list->front().is_number()) {
    read_tokens(*list, path, check, request);
    return;
  }
  if (list->size() > kMaxEmbeddingInputs) {
    check.rule(path, fmt::format("'input' has {} elements; at most {} are allowed in one call.",
                                 list->size(), kMaxEmbeddingInputs));
    return;
  }
  for (std::size_t i = 0; i < list->size() && check.ok(); ++i) {
    read_element((*list)[i], path.element(i), check, request);
  }
}

void write_vector(JsonOut& out, const std::vector<float>& vector, EmbeddingCall::Encoding encoding,
                  std::string& text) {
  if (encoding == EmbeddingCall::Encoding::kBase64) {
    out.string(vector_to_base64(vector));
    return;
  }
  text += '[';
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) text += ',';
    // The shortest digits that read back as the same float.
    fmt::format_to(std::back_inserter(text), "{}", std::isfinite(vector[i]) ? vector[i] : 0.0F);
  }
  text += ']';
}

}  // namespace

Result<EmbeddingCall> decode_embedding_call(const JsonDocument& body) {
  Check check(Wording::kOpenAi);
  const Path path;
  const auto* root = body.root().if_object();
  if (root == nullptr) return fail(Errc::kInvalidArgument, "the body must be a JSON object");
  EmbeddingCall call;
  const FieldReader fields(*root, path, check);
  allow_known(*root, path, check);
  call.request.model = fields.string("model").value_or("");
  const auto input_path = path.field("input");
  if (const auto* input = fields.any("input")) {
    read_input(*input, input_path, check, call.request);
  } else {
    check.missing(input_path);
  }
  if (fields.one_of("encoding_format", kEncodings) == "base64")
    call.encoding = EmbeddingCall::Encoding::kBase64;
  call.request.dimensions = fields.integer("dimensions", 1, 65'536);
  call.request.user = fields.string("user").value_or("");
  call.request.input_type = fields.one_of("input_type", kInputTypes).value_or("");
  if (!check.ok()) return check.failure();
  return call;
}

std::string encode_embedding_reply(const EmbeddingResponse& response,
                                   EmbeddingCall::Encoding encoding, std::string_view extras) {
  std::string text;
  JsonOut out(text);
  out.open_object().member("object", "list").key("data").open_array();
  for (std::size_t i = 0; i < response.vectors.size(); ++i) {
    out.open_object()
        .member("object", "embedding")
        .member("index", static_cast<std::int64_t>(i))
        .key("embedding");
    write_vector(out, response.vectors[i], encoding, text);
    out.close_object();
  }
  out.close_array().member("model", response.model).key("usage").open_object();
  out.member("prompt_tokens", response.usage.input)
      .member("total_tokens", response.usage.total())
      .close_object();
  if (!extras.empty()) out.key("asahi").raw(extras);
  out.close_object();
  return text;
}

}  // namespace asahi::llm::wire
