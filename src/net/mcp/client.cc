#include "net/mcp/client.h"

#include <fmt/format.h>

#include <vector>

#include "base/utf8.h"
#include "net/sse/parser.h"

namespace asahi::mcp {
namespace {

constexpr std::string_view kRevision = "2025-06-18";
constexpr std::string_view kSession = "Mcp-Session-Id";
constexpr std::size_t kShownBytes = 300;

std::string shown(std::string_view text) { return mended_utf8(text, kShownBytes); }

std::unexpected<Error> not_understood(std::string_view what) {
  return fail(Errc::kUpstream, fmt::format("the MCP server's answer is not understood: {}", what));
}

/// The message with this id, alone or in a batch; null: it is none of them.
const json::object* message_of(const json::value& value, int id) {
  if (const json::array* batch = value.if_array()) {
    for (const json::value& one : *batch) {
      if (const json::object* found = message_of(one, id)) return found;
    }
    return nullptr;
  }
  const json::object* message = value.if_object();
  if (message == nullptr) return nullptr;
  const json::value* given = message->if_contains("id");
  return given != nullptr && given->is_int64() && given->get_int64() == id ? message : nullptr;
}

Result<json::object> result_of(const json::object& message) {
  if (const json::value* error = message.if_contains("error"); error != nullptr) {
    const json::object* told = error->if_object();
    const json::value* words = told == nullptr ? nullptr : told->if_contains("message");
    return fail(Errc::kUpstream, fmt::format("the MCP server refused: {}",
                                             shown(words != nullptr && words->is_string()
                                                       ? std::string_view(words->get_string())
                                                       : std::string_view("no reason given"))));
  }
  const json::value* result = message.if_contains("result");
  if (result == nullptr || !result->is_object())
    return not_understood("neither a result nor an error");
  return result->get_object();
}

/// What a tool says of its failure.
std::string words_of(const json::object& result) {
  const json::value* content = result.if_contains("content");
  if (content != nullptr && content->is_array()) {
    for (const json::value& part : content->get_array()) {
      const json::object* object = part.if_object();
      const json::value* text = object == nullptr ? nullptr : object->if_contains("text");
      if (text != nullptr && text->is_string()) return shown(text->get_string());
    }
  }
  return "no reason given";
}

}  // namespace

Result<json::object> answer_in(const http::ClientResponse& reply, int id) {
  if (reply.headers.get("Content-Type").starts_with("text/event-stream")) {
    sse::Parser parser;
    std::vector<sse::Event> events;
    if (auto ok = parser.feed(reply.body, events); !ok) return std::unexpected(ok.error());
    for (const sse::Event& event : events) {
      const auto parsed = parse_json(event.data);
      if (!parsed) continue;
      if (const json::object* message = message_of(*parsed, id)) return result_of(*message);
    }
    return not_understood("its stream ended without one");
  }
  const auto parsed = parse_json(reply.body);
  if (!parsed) return not_understood(parsed.error().message);
  const json::object* message = message_of(*parsed, id);
  if (message == nullptr) return not_understood("it is to another request");
  return result_of(*message);
}

struct Client::Conversation {
  std::chrono::steady_clock::time_point deadline;
  std::string session;
  int last_id = 0;
  bool greeted = false;
};

Result<Client> Client::make(Options options, Send send) {
  ASAHI_TRY(http::Url url, http::Url::parse(options.url));
  return Client(std::move(options), std::move(send), std::move(url));
}

Task<http::ClientResponse> Client::post(Conversation& conversation, http::Method method,
                                        std::string body) const {
  http::ClientRequest request{
      .method = method, .origin = url_.origin, .target = url_.target, .headers = {}, .body = {}};
  request.headers.set("Accept", "application/json, text/event-stream");
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  if (conversation.greeted) request.headers.set("MCP-Protocol-Version", std::string(kRevision));
  if (!conversation.session.empty()) request.headers.set(kSession, conversation.session);
  if (!options_.bearer.empty())
    request.headers.set("Authorization", "Bearer " + options_.bearer.reveal());
  request.body = std::move(body);
  co_return co_await send_(std::move(request),
                           {.deadline = conversation.deadline, .idle_timeout = options_.timeout});
}

Task<json::object> Client::ask(Conversation& conversation, std::string method,
                               json::object params) const {
  const int id = ++conversation.last_id;
  std::string body = json::serialize(json::object{
      {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
  ASAHI_CO_TRY(const http::ClientResponse reply,
               co_await post(conversation, http::Method::kPost, std::move(body)));
  constexpr int kOk = 200, kUnauthorized = 401, kForbidden = 403;
  if (reply.status == kUnauthorized || reply.status == kForbidden)
    co_return fail(Errc::kUnauthenticated,
                   fmt::format("the MCP server answered {} to {}", reply.status, method));
  if (reply.status != kOk) {
    co_return fail(Errc::kUpstream, fmt::format("the MCP server answered {} to {}; expected 200",
                                                reply.status, method));
  }
  if (const std::string_view session = reply.headers.get(kSession); !session.empty())
    conversation.session = session;
  co_return answer_in(reply, id);
}

Task<json::object> Client::begin(Conversation& conversation) const {
  ASAHI_CO_TRY(
      json::object greeting,
      co_await ask(conversation, "initialize",
                   {{"protocolVersion", kRevision},
                    {"capabilities", json::object{}},
                    {"clientInfo", {{"name", options_.name}, {"version", options_.version}}}}));
  conversation.greeted = true;
  ASAHI_CO_TRY([[maybe_unused]] const http::ClientResponse noted,
               co_await post(conversation, http::Method::kPost,
                             R"({"jsonrpc":"2.0","method":"notifications/initialized"})"));
  json::object info;
  if (const json::value* told = greeting.if_contains("serverInfo"); told != nullptr) {
    if (const json::object* object = told->if_object()) info = *object;
  }
  co_return info;
}

Aw<void> Client::end(Conversation& conversation) const {
  // A courtesy: sessions that nobody ends, the server ends.
  if (!conversation.session.empty())
    (void)co_await post(conversation, http::Method::kDelete, std::string());
}

Task<json::object> Client::hello() const {
  Conversation conversation{.deadline = std::chrono::steady_clock::now() + options_.timeout};
  auto info = co_await begin(conversation);
  if (info) co_await end(conversation);
  co_return info;
}

Task<json::object> Client::call(std::string tool, json::object arguments) const {
  Conversation conversation{.deadline = std::chrono::steady_clock::now() + options_.timeout};
  auto greeted = co_await begin(conversation);
  if (!greeted) co_return std::unexpected(greeted.error());
  auto result = co_await ask(conversation, "tools/call",
                             {{"name", tool}, {"arguments", std::move(arguments)}});
  co_await end(conversation);
  if (!result) co_return result;
  const json::value* failed = result->if_contains("isError");
  if (failed != nullptr && failed->is_bool() && failed->get_bool()) {
    co_return fail(Errc::kUpstream,
                   fmt::format("the tool '{}' failed: {}", tool, words_of(*result)));
  }
  co_return result;
}

}  // namespace asahi::mcp
