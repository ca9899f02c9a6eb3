#include "memory/events/live_protocol.h"

#include <fmt/format.h>

#include "base/ids.h"

namespace asahi::memory {
namespace {

constexpr std::uint16_t kPolicyViolation = 1008;
constexpr std::size_t kMaxToken = 8 * 1024;
constexpr std::size_t kMostRecent = 100;

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

/// `data.name`, else the frame's `room`.
std::string channel_of(const json::object& frame) {
  if (const json::value* data = frame.if_contains("data"); data != nullptr && data->is_object()) {
    if (std::string named = text_of(data->get_object(), "channel"); !named.empty()) return named;
  }
  return text_of(frame, "room");
}

}  // namespace

LiveProtocol::LiveProtocol(Hub& hub, const Clock& clock, Join join, Options options)
    : hub_(hub), clock_(clock), join_(std::move(join)), options_(std::move(options)) {}

std::string LiveProtocol::frame(std::string_view type, std::string_view event,
                                const std::string& correlation, json::object data) const {
  json::object out{{"id", random_id("msg_", 16)}, {"type", type}};
  if (!correlation.empty()) out["correlation_id"] = correlation;
  if (!event.empty()) out["event"] = event;
  out["data"] = std::move(data);
  out["timestamp"] = format_rfc3339(clock_.now());
  return json::serialize(out);
}

std::string LiveProtocol::error(const std::string& correlation, std::string_view code,
                                std::string_view message) const {
  json::object out{{"id", random_id("msg_", 16)}, {"type", "error"}};
  if (!correlation.empty()) out["correlation_id"] = correlation;
  out["error_code"] = code;
  out["error_message"] = message;
  out["timestamp"] = format_rfc3339(clock_.now());
  return json::serialize(out);
}

LiveProtocol::Actions LiveProtocol::start(std::optional<Listener> known) {
  if (known) subscriber_ = join_(known->reach);
  listener_ = std::move(known);
  Actions actions;
  actions.frames.push_back(
      frame("event", "session.created", "",
            {{"connection_id", options_.connection_id},
             {"server", options_.server},
             {"message", listener_ ? "subscribe to a channel to hear of it"
                                   : "send a request auth with your token first"},
             {"authenticated", listener_.has_value()},
             {"secure", options_.secure}}));
  return actions;
}

bool LiveProtocol::too_many(Actions& actions) {
  const Clock::Steady now = clock_.steady_now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    messages_ = 0;
  }
  ++messages_;
  if (messages_ <= options_.messages_per_second) return false;
  // Told once a second: the answers shall not be a flood of their own.
  if (messages_ == options_.messages_per_second + 1) {
    actions.frames.push_back(error(
        "", "RATE_LIMITED",
        fmt::format("a connection sends at most {} messages a second; the rest of this second "
                    "is not read",
                    options_.messages_per_second)));
  }
  if (messages_ > 2 * options_.messages_per_second)
    actions.close = {kPolicyViolation, "too many messages"};
  return true;
}

LiveProtocol::Actions LiveProtocol::receive(std::string_view text) {
  Actions actions;
  if (too_many(actions)) return actions;
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) {
    actions.frames.push_back(error("", "DECODE_ERROR", "a message is one JSON object"));
    if (!listener_) actions.close = {kPolicyViolation, "AUTH_REQUIRED"};
    return actions;
  }
  const json::object& frame_in = parsed->get_object();
  const std::string id = text_of(frame_in, "id").substr(0, 100);
  const std::string type = text_of(frame_in, "type");
  const std::string event = text_of(frame_in, "event");
  if (!listener_) {
    const json::value* data = frame_in.if_contains("data");
    std::string token;
    if (type == "request" && event == "auth" && data != nullptr && data->is_object())
      token = text_of(data->get_object(), "token");
    if (token.empty() || token.size() > kMaxToken || asked_) {
      actions.frames.push_back(
          error(id, "AUTH_REQUIRED", "the first message is a request auth with data.token"));
      actions.close = {kPolicyViolation, "AUTH_REQUIRED"};
      return actions;
    }
    asked_ = true;
    auth_id_ = id;
    actions.authenticate = std::move(token);
    return actions;
  }
  if (type == "ping") {
    actions.frames.push_back(frame("pong", "", id, {}));
    return actions;
  }
  if (type == "pong" || type == "ack") return actions;
  if (type == "subscribe") return subscribe(frame_in, id, true);
  if (type == "unsubscribe") return subscribe(frame_in, id, false);
  if (type == "request") return request(frame_in, event, id);
  actions.frames.push_back(
      error(id, "UNKNOWN_REQUEST",
            fmt::format("type '{}' is none of request, subscribe, unsubscribe, ping",
                        type.substr(0, 40))));
  return actions;
}

LiveProtocol::Actions LiveProtocol::request(const json::object& frame_in, const std::string& event,
                                            const std::string& id) {
  if (event == "subscribe") return subscribe(frame_in, id, true);
  if (event == "unsubscribe") return subscribe(frame_in, id, false);
  if (event == "get_patterns" || event == "get_anomalies") return recent(frame_in, event, id);
  Actions actions;
  if (event == "auth") {
    actions.frames.push_back(frame("response", event, id, {{"authenticated", true}}));
    return actions;
  }
  actions.frames.push_back(
      error(id, "UNKNOWN_REQUEST",
            fmt::format("'{}' is none of auth, subscribe, unsubscribe, get_patterns, get_anomalies",
                        event.substr(0, 40))));
  return actions;
}

LiveProtocol::Actions LiveProtocol::subscribe(const json::object& frame_in, const std::string& id,
                                              bool on) {
  Actions actions;
  const std::string channel = channel_of(frame_in);
  if (auto ok = check_channel(channel); !ok) {
    actions.frames.push_back(error(id, "UNKNOWN_CHANNEL", ok.error().message));
    return actions;
  }
  if (!listener_->may_read) {
    actions.frames.push_back(error(id, "FORBIDDEN", "this needs the permission query:search"));
    return actions;
  }
  if (on) {
    if (const auto done = subscriber_->subscribe(channel); !done) {
      actions.frames.push_back(error(id, "TOO_MANY_CHANNELS", done.error().message));
      return actions;
    }
  } else {
    subscriber_->unsubscribe(channel);
  }
  actions.frames.push_back(frame("response", on ? "subscribe" : "unsubscribe", id,
                                 {{"channel", channel}, {"subscribed", on}}));
  return actions;
}

LiveProtocol::Actions LiveProtocol::recent(const json::object& frame_in, const std::string& event,
                                           const std::string& id) {
  Actions actions;
  if (!listener_->may_read) {
    actions.frames.push_back(error(id, "FORBIDDEN", "this needs the permission query:search"));
    return actions;
  }
  std::string channel = "anomalies";
  if (event == "get_patterns") {
    channel = "patterns:";
    const json::value* data = frame_in.if_contains("data");
    const std::string category = data != nullptr && data->is_object()
                                     ? text_of(data->get_object(), "category")
                                     : std::string{};
    if (!category.empty()) {
      channel += category;
      if (auto ok = check_channel(channel); !ok) {
        actions.frames.push_back(error(id, "UNKNOWN_CHANNEL", ok.error().message));
        return actions;
      }
    }
  }
  json::array list;
  for (const HubEvent& one : hub_.recent(listener_->reach, channel, kMostRecent)) {
    auto data = parse_json(*one.data);
    if (data) list.push_back(std::move(*data));
  }
  const char* name = event == "get_patterns" ? "patterns" : "anomalies";
  actions.frames.push_back(frame("response", event, id, {{name, std::move(list)}}));
  return actions;
}

LiveProtocol::Actions LiveProtocol::authenticated(std::optional<Listener> listener) {
  Actions actions;
  if (!listener) {
    actions.frames.push_back(error(auth_id_, "AUTH_FAILED", "the token is not valid"));
    actions.close = {kPolicyViolation, "AUTH_FAILED"};
    return actions;
  }
  subscriber_ = join_(listener->reach);
  listener_ = std::move(listener);
  actions.frames.push_back(frame("response", "auth", auth_id_, {{"authenticated", true}}));
  return actions;
}

LiveProtocol::Actions LiveProtocol::waited_too_long() {
  Actions actions;
  if (listener_ || asked_) return actions;
  actions.frames.push_back(error("", "AUTH_REQUIRED", "no token came in time"));
  actions.close = {kPolicyViolation, "AUTH_REQUIRED"};
  return actions;
}

LiveProtocol::Actions LiveProtocol::expired() {
  Actions actions;
  subscriber_.reset();
  listener_.reset();
  asked_ = true;
  actions.frames.push_back(error("", "AUTH_FAILED", "the credential is no longer valid"));
  actions.close = {kPolicyViolation, "AUTH_FAILED"};
  return actions;
}

std::vector<std::string> LiveProtocol::events() {
  std::vector<std::string> frames;
  if (subscriber_ == nullptr) return frames;
  if (const std::uint64_t lost = subscriber_->take_lost(); lost > 0) {
    frames.push_back(error("", "EVENTS_LOST",
                           fmt::format("{} events were lost: they were not read in time", lost)));
  }
  for (const HubEvent& one : subscriber_->take()) {
    json::object out{{"id", random_id("msg_", 16)},
                     {"type", "event"},
                     {"event", one.name},
                     {"room", one.channel}};
    auto data = parse_json(*one.data);
    out["data"] = data ? std::move(*data) : json::value(json::object{});
    out["timestamp"] = format_rfc3339(one.at);
    frames.push_back(json::serialize(out));
  }
  return frames;
}

}  // namespace asahi::memory
