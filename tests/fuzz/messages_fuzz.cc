// Any bytes as a client's request in every shape: an error that names its rule, or a request that
// every vendor format writes as JSON or refuses. Any bytes as a vendor's answer, whole and as a
// stream: the same events wherever the stream is cut, and clients of every shape get whole events.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llm/codec.h"
#include "llm/wire/wire.h"
#include "net/sse/parser.h"

namespace {

using namespace asahi;
using namespace asahi::llm;

void require(bool holds) {
  if (!holds) std::abort();
}

const auto& clients() {
  static const std::array<std::unique_ptr<ClientCodec>, 4> all = {
      make_openai_chat_client(), make_openai_completions_client(), make_openai_responses_client(),
      make_anthropic_client()};
  return all;
}

struct Target {
  std::unique_ptr<VendorCodec> codec;
  std::vector<std::string_view> models;
};

const auto& vendors() {
  static const std::array<Target, 6> all = {
      Target{make_openai_chat_codec(), {"gpt-5", "deepseek-chat", "mistral-large"}},
      Target{make_openai_responses_codec(), {"gpt-5"}},
      Target{make_anthropic_codec(), {"claude-haiku-4-5", "claude-opus-4-7", "claude-opus-5-5"}},
      Target{make_google_codec(), {"gemini-2.5-pro", "gemini-3-pro"}},
      Target{make_ollama_codec(), {"llama3.2"}},
      Target{make_cohere_codec(), {"embed-v4.0"}}};
  return all;
}

bool is_json(std::string_view text) { return parse_json(text, 256).has_value(); }

void send_everywhere(ChatRequest& request) {
  for (const Target& target : vendors()) {
    for (const auto model : target.models) {
      for (const bool changed : {false, true}) {
        request.messages_changed = changed;
        const auto wire = target.codec->encode(request, model);
        require(wire ? is_json(wire->body) : !wire.error().message.empty());
      }
    }
  }
}

void as_request(std::string_view text) {
  auto document = JsonDocument::parse(text);
  if (!document) return;
  for (const auto& client : clients()) {
    auto request = client->decode(*document);
    if (request) {
      send_everywhere(*request);
    } else {
      require(!request.error().message.empty());
      require(is_json(client->encode_error(request.error(), 400, "req_1")));
    }
  }
}

void require_whole_events(std::string_view text) {
  sse::Parser parser;
  std::vector<sse::Event> events;
  require(parser.feed(text, events).has_value() && !parser.mid_event());
  for (const auto& event : events) require(event.data == "[DONE]" || is_json(event.data));
}

void to_every_client(const std::vector<StreamEvent>& events, const ChatResponse& response) {
  ChatRequest request;
  request.stream_usage = true;
  for (const auto& client : clients()) {
    require(is_json(client->encode(request, response, "{}", 1)));
    const auto encoder = client->stream_encoder(request, "id", "model", 1);
    std::string out;
    for (const StreamEvent& event : events) encoder->encode(event, out);
    encoder->finish(response, "{}", out);
    require_whole_events(out);
  }
}

struct Read {
  bool ok = false;
  std::vector<StreamEvent> events;
  ChatResponse response;
};

Read read_stream(const VendorCodec& codec, std::string_view bytes, std::size_t step) {
  Read read;
  const auto decoder = codec.stream_decoder();
  read.ok = true;
  for (std::size_t at = 0; read.ok && at < bytes.size(); at += step) {
    read.ok = decoder->feed(bytes.substr(at, step), read.events).has_value();
  }
  read.ok = read.ok && decoder->finish(read.events).has_value();
  StreamCollector collector;
  for (const StreamEvent& event : read.events) collector.add(event);
  require(!read.ok || collector.complete());
  read.response = collector.response();
  return read;
}

void as_answer(std::string_view text, std::size_t step) {
  for (const Target& target : vendors()) {
    if (const auto response = target.codec->decode(text)) to_every_client({}, *response);
    static_cast<void>(target.codec->decode_embedding(text));
    static_cast<void>(target.codec->decode_error(429, {}, text));
    const Read whole = read_stream(*target.codec, text, text.size() + 1);
    const Read pieces = read_stream(*target.codec, text, step);
    require(whole.ok == pieces.ok);
    require(whole.response.text() == pieces.response.text());
    require(whole.response.usage == pieces.response.usage);
    require(whole.response.parts.size() == pieces.response.parts.size());
    to_every_client(whole.events, whole.response);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The last byte says where streams are cut, so that a text file is a seed as it stands.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  as_request(text);
  as_answer(text, 1 + data[size - 1] % 16);
  return 0;
}
