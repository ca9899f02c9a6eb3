#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "llm/codec.h"
#include "net/sse/parser.h"

/// What the tests of the wire formats share.
namespace asahi::llm::testing {

inline std::shared_ptr<const JsonDocument> document(std::string_view text) {
  auto parsed = JsonDocument::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : *JsonDocument::parse("null");
}

inline json::value value_of(std::string_view text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : json::value();
}

/// Decodes a request that must be valid.
inline ChatRequest decode_ok(const ClientCodec& client, std::string_view text) {
  auto request = client.decode(document(text));
  EXPECT_TRUE(request) << request.error().message;
  return request ? std::move(*request) : ChatRequest();
}

/// The body a vendor would get, as JSON.
inline json::value encoded(const VendorCodec& vendor, const ChatRequest& request,
                           std::string_view model) {
  auto wire = vendor.encode(request, model);
  EXPECT_TRUE(wire) << wire.error().message;
  return wire ? value_of(wire->body) : json::value();
}

/// Decodes a whole stream, cut into pieces of `step` bytes.
inline Result<std::vector<StreamEvent>> decode_stream(const VendorCodec& vendor,
                                                      std::string_view bytes,
                                                      std::size_t step = 1u << 20) {
  auto decoder = vendor.stream_decoder();
  std::vector<StreamEvent> events;
  for (std::size_t i = 0; i < bytes.size(); i += step) {
    if (auto ok = decoder->feed(bytes.substr(i, step), events); !ok) {
      return std::unexpected(ok.error());
    }
  }
  if (auto ok = decoder->finish(events); !ok) return std::unexpected(ok.error());
  return events;
}

inline ChatResponse collect(const std::vector<StreamEvent>& events) {
  StreamCollector collector;
  for (const auto& event : events) collector.add(event);
  EXPECT_TRUE(collector.complete());
  return collector.response();
}

/// What a client gets for `events`.
inline std::string encode_stream(const ClientCodec& client, const ChatRequest& request,
                                 const std::vector<StreamEvent>& events,
                                 const Extras& extras = "{\"cost\":1}") {
  auto encoder = client.stream_encoder(request, "id-given", "model-given", 1700000000);
  std::string out;
  StreamCollector collector;
  for (const auto& event : events) {
    collector.add(event);
    encoder->encode(event, out);
  }
  encoder->finish(collector.response(), extras, out);
  return out;
}

inline std::vector<sse::Event> sse_events(std::string_view text) {
  sse::Parser parser;
  std::vector<sse::Event> events;
  EXPECT_TRUE(parser.feed(text, events));
  EXPECT_FALSE(parser.mid_event());
  return events;
}

/// "data: …" lines as a vendor sends them.
inline std::string sse_text(std::initializer_list<std::string_view> frames) {
  std::string out;
  for (const auto frame : frames) sse::append_event(out, {}, frame);
  return out;
}

/// Anthropic's events carry their type as name.
inline std::string named_sse_text(std::initializer_list<std::string_view> frames) {
  std::string out;
  for (const auto frame : frames) {
    const auto parsed = value_of(frame);
    sse::append_event(out, std::string_view(parsed.at("type").as_string()), frame);
  }
  return out;
}

template <class P>
const P* first_part(const std::vector<Part>& parts) {
  for (const auto& part : parts) {
    if (const auto* found = std::get_if<P>(&part)) return found;
  }
  return nullptr;
}

}  // namespace asahi::llm::testing
