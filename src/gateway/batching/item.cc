#include "gateway/batching/item.h"

#include "base/json.h"
#include "base/json_out.h"

namespace asahi::gateway {
namespace {

Result<json::object> read_object(std::string_view text) {
  auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object())
    return fail(Errc::kCorrupt, "what came from the batch buffer is not a JSON object");
  return std::move(parsed->get_object());
}

void take(const json::object& from, std::string_view key, std::string& to) {
  const json::value* value = from.if_contains(key);
  if (value != nullptr && value->is_string()) to = std::string(value->get_string());
}
std::int64_t integer_of(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}
std::optional<double> number_of(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}
bool flag_of(const json::object& from, std::string_view key) {
  const json::value* value = from.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

}  // namespace

std::string to_json(const BatchItem& item) {
  std::string out;
  JsonOut object(out);
  object.open_object()
      .member("id", item.id)
      .member("origin", item.origin)
      .member("group", item.group)
      .member("org", item.org)
      .member("owner", item.owner)
      .member("model", item.model)
      .member("system", item.system)
      .member("prompt", item.prompt)
      .member("max_tokens", item.max_tokens)
      .member("request_id", item.request_id)
      .member("traceparent", item.traceparent)
      .member("wait_ms", static_cast<std::int64_t>(item.wait.count()));
  if (item.temperature) object.member("temperature", *item.temperature);
  if (item.top_p) object.member("top_p", *item.top_p);
  object.close_object();
  return out;
}

Result<BatchItem> batch_item_from_json(std::string_view text) {
  ASAHI_TRY(const json::object object, read_object(text));
  BatchItem item;
  take(object, "id", item.id);
  take(object, "origin", item.origin);
  take(object, "group", item.group);
  take(object, "org", item.org);
  take(object, "owner", item.owner);
  take(object, "model", item.model);
  take(object, "system", item.system);
  take(object, "prompt", item.prompt);
  take(object, "request_id", item.request_id);
  take(object, "traceparent", item.traceparent);
  item.max_tokens = integer_of(object, "max_tokens");
  item.wait = std::chrono::milliseconds(integer_of(object, "wait_ms"));
  item.temperature = number_of(object, "temperature");
  item.top_p = number_of(object, "top_p");
  if (item.id.empty() || item.group.empty() || item.model.empty() || item.prompt.empty())
    return fail(Errc::kCorrupt, "a batch item lacks its id, group, model or prompt");
  return item;
}

std::string to_json(const BatchReply& reply) {
  std::string out;
  JsonOut(out)
      .open_object()
      .member("id", reply.id)
      .member("answered", reply.answered)
      .member("text", reply.text)
      .member("size", static_cast<std::int64_t>(reply.size))
      .member("mixed_owners", reply.mixed_owners)
      .member("input", reply.usage.input)
      .member("cached_input", reply.usage.cached_input)
      .member("cache_write_input", reply.usage.cache_write_input)
      .member("cache_write_1h_input", reply.usage.cache_write_1h_input)
      .member("output", reply.usage.output)
      .member("reasoning_output", reply.usage.reasoning_output)
      .member("cost_nanos", reply.cost.nanos)
      .member("vendor_ms", reply.vendor_ms)
      .close_object();
  return out;
}

Result<BatchReply> batch_reply_from_json(std::string_view text) {
  ASAHI_TRY(const json::object object, read_object(text));
  BatchReply reply;
  take(object, "id", reply.id);
  take(object, "text", reply.text);
  reply.answered = flag_of(object, "answered");
  reply.mixed_owners = flag_of(object, "mixed_owners");
  reply.size = static_cast<std::size_t>(integer_of(object, "size"));
  reply.usage.input = integer_of(object, "input");
  reply.usage.cached_input = integer_of(object, "cached_input");
  reply.usage.cache_write_input = integer_of(object, "cache_write_input");
  reply.usage.cache_write_1h_input = integer_of(object, "cache_write_1h_input");
  reply.usage.output = integer_of(object, "output");
  reply.usage.reasoning_output = integer_of(object, "reasoning_output");
  reply.cost = {integer_of(object, "cost_nanos")};
  reply.vendor_ms = number_of(object, "vendor_ms").value_or(0);
  if (reply.id.empty()) return fail(Errc::kCorrupt, "a batch reply lacks its id");
  return reply;
}

}  // namespace asahi::gateway
