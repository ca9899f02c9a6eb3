#include "llm/mock_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hash.h"
#include "llm/wire/common.h"

namespace asahi::llm::mock {
namespace {

constexpr std::int64_t kMaxWords = 2'000;
constexpr int kMaxSampleDepth = 16;
constexpr std::string_view kMarker = "[[mock:";

constexpr auto kSentences = std::to_array<std::string_view>({
    "It was written without a network and without a key.",
    "The same prompt and the same seed give the same words.",
    "Tests read it, count it and compare it.",
    "Each sentence is short and plain.",
    "Nothing in it depends on the time of day.",
});

std::string transcript_of(const ChatRequest& request) {
  std::string out = request.model;
  for (const Message& message : request.messages) {
    out += '\n';
    out += to_string(message.role);
    out += ": ";
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) out += text->text;
      if (const auto* result = std::get_if<ToolResultPart>(&part)) out += result->text;
      if (const auto* call = std::get_if<ToolCallPart>(&part)) out += call->name + call->arguments;
    }
  }
  return out;
}

std::string last_user_text(const ChatRequest& request) {
  for (auto message = request.messages.rbegin(); message != request.messages.rend(); ++message) {
    if (message->role != Role::kUser) continue;
    if (std::string text = message->text(); !text.empty()) return text;
  }
  return {};
}

/// What stands between "[[mock:" and "]]"; empty without a marker.
std::string_view marker_in(std::string_view text) {
  const auto begin = text.find(kMarker);
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin + kMarker.size());
  const auto end = text.find("]]");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

Plan::Fault fault_of(std::string_view marker) {
  if (marker == "429") return Plan::Fault::kRateLimit;
  if (marker == "500") return Plan::Fault::kServerError;
  if (marker == "timeout") return Plan::Fault::kTimeout;
  if (marker == "cut") return Plan::Fault::kCut;
  return Plan::Fault::kNone;
}

/// The newest tool result when the conversation waits for an answer to it.
const ToolResultPart* pending_result(const ChatRequest& request) {
  if (request.messages.empty()) return nullptr;
  for (const Part& part : request.messages.back().parts) {
    if (const auto* result = std::get_if<ToolResultPart>(&part)) return result;
  }
  return nullptr;
}

std::string prose(const ChatRequest& request, std::int64_t input, std::int64_t output,
                  Random& random) {
  std::string text =
      fmt::format("This is the mock answer of {} to a prompt of {} tokens.", request.model, input);
  if (const auto* result = pending_result(request))
    text += fmt::format(" The tool said: {}", result->text);
  const std::int64_t words = std::min(output * 10 / 13, kMaxWords);
  std::size_t sentence = random.next() % kSentences.size();
  std::int64_t written = static_cast<std::int64_t>(split_words(text).size());
  while (written + 8 <= words) {
    text += ' ';
    text += kSentences[sentence];
    written += static_cast<std::int64_t>(split_words(kSentences[sentence]).size());
    sentence = (sentence + 1) % kSentences.size();
  }
  return text;
}

/// The answer to several texts at once, in the format of the gateway's shared calls: a text after
/// each line "<<tag:number>>", and "<<tag:end>>" at the end. Empty: the prompt is none of these.
std::string batched(const ChatRequest& request, std::string_view prompt) {
  constexpr std::size_t kTag = 12;
  if (!prompt.starts_with("<<") || prompt.size() < kTag + 2) return {};
  const std::string_view tag = prompt.substr(2, kTag);
  if (!prompt.ends_with(fmt::format("<<{}:end>>", tag))) return {};
  std::string text;
  for (int number = 1;; ++number) {
    const std::string mark = fmt::format("<<{}:{}>>\n", tag, number);
    if (prompt.find(mark) == std::string_view::npos) break;
    text += fmt::format("{}This is the mock answer of {} to text {} of a shared call.\n", mark,
                        request.model, number);
  }
  return text + fmt::format("<<{}:end>>", tag);
}

ToolCallPart call_of(const ChatRequest& request, std::string_view name, Random& random) {
  ToolCallPart call{.id = fmt::format("call_{:016x}", random.next()),
                    .name = std::string(name),
                    .arguments = "{}"};
  for (const Tool& tool : request.tools) {
    if (tool.name == name && tool.parameters.is_object())
      call.arguments = write_json(sample_of(tool.parameters));
  }
  return call;
}

std::string structured(const ChatRequest& request, std::int64_t input) {
  if (request.format.kind == ResponseFormat::Kind::kJsonSchema)
    return write_json(sample_of(request.format.schema));
  return write_json(json::object{{"model", request.model}, {"input_tokens", input}});
}

}  // namespace

Random Random::of(std::uint64_t seed, std::string_view text) {
  const Digest256 digest = sha256(fmt::format("{}\n{}", seed, text));
  std::uint64_t bits = 0;
  std::memcpy(&bits, digest.data(), sizeof bits);
  return Random(bits);
}

std::uint64_t Random::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

double Random::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t space = text.find(' ', begin);
    const std::size_t end =
        std::min(text.find_first_not_of(' ', std::min(space, text.size())), text.size());
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

json::value sample_of(const json::value& schema, int depth) {
  const auto* object = schema.if_object();
  if (object == nullptr || depth > kMaxSampleDepth) return nullptr;
  if (const auto* constant = object->if_contains("const")) return *constant;
  if (const auto* values = wire::array_at(*object, "enum"); values != nullptr && !values->empty()) {
    return values->front();
  }
  for (const std::string_view key : {"anyOf", "oneOf"}) {
    const auto* branches = wire::array_at(*object, key);
    if (branches != nullptr && !branches->empty()) return sample_of(branches->front(), depth + 1);
  }
  std::string_view type = wire::string_at(*object, "type");
  if (const auto* types = wire::array_at(*object, "type"); types != nullptr && !types->empty()) {
    if (types->front().is_string()) type = types->front().get_string();
  }
  if (type == "string") return "mock";
  if (type == "integer" || type == "number")
    return std::max<std::int64_t>(1, wire::int_at(*object, "minimum"));
  if (type == "boolean") return true;
  if (type == "null") return nullptr;
  if (type == "array") {
    const auto* items = object->if_contains("items");
    return items == nullptr ? json::array() : json::array{sample_of(*items, depth + 1)};
  }
  json::object out;
  if (const auto* properties = wire::object_at(*object, "properties")) {
    for (const auto& member : *properties) out[member.key()] = sample_of(member.value(), depth + 1);
  }
  return out;
}

Plan make_plan(const MockOptions& options, const ChatRequest& request) {
  const std::string user_text = last_user_text(request);
  const std::string_view marker = marker_in(user_text);
  Random random = Random::of(options.seed, transcript_of(request));
  const std::int64_t input = estimate_tokens(request);
  const auto average = std::chrono::duration<double>(options.average_latency);

  Plan plan;
  plan.fault = fault_of(marker);
  plan.latency = std::chrono::duration_cast<std::chrono::nanoseconds>(
      average * random.uniform(0.8, 1.2) * options.latency_scale);
  const auto share =
      static_cast<std::int64_t>(static_cast<double>(input) * random.uniform(0.3, 0.8));
  std::int64_t output = std::max<std::int64_t>(20, share);
  if (request.max_tokens) output = std::min(output, *request.max_tokens);

  ChatResponse& response = plan.response;
  response.shape = Shape::kMock;
  response.id = fmt::format("mock-{:016x}", random.next());
  response.model = request.model;
  response.usage = Usage{.input = input, .output = output, .reported = true};
  const bool json_wanted = request.format.kind == ResponseFormat::Kind::kJsonObject ||
                           request.format.kind == ResponseFormat::Kind::kJsonSchema;
  if (marker.starts_with("tool:") && pending_result(request) == nullptr) {
    response.parts.emplace_back(call_of(request, marker.substr(5), random));
    response.finish = FinishReason::kToolCalls;
  } else if (marker.starts_with("echo:")) {
    response.parts.emplace_back(TextPart{.text = std::string(marker.substr(5))});
  } else if (json_wanted) {
    response.parts.emplace_back(TextPart{.text = structured(request, input)});
  } else if (std::string answers = batched(request, user_text); !answers.empty()) {
    response.parts.emplace_back(TextPart{.text = std::move(answers)});
  } else if (std::string given = options.answers ? options.answers(request) : std::string();
             !given.empty()) {
    response.parts.emplace_back(TextPart{.text = std::move(given)});
  } else {
    response.parts.emplace_back(TextPart{.text = prose(request, input, output, random)});
  }
  return plan;
}

}  // namespace asahi::llm::mock
