#include "memory/outside/upload_queue.h"

#include <fmt/format.h>

#include <charconv>

#include "base/utf8.h"
#include "net/http/message.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kShownBytes = 300;

/// A text member, or nothing.
const json::string* text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_string();
}
const json::object* object_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

std::unexpected<Error> not_an_event(std::string_view what) {
  return fail(Errc::kInvalidArgument, fmt::format("no event of a bucket: {}", what));
}

/// `encoded`: S3's records have keys as in forms; the others as they are.
Result<void> add_key(const json::object* object, bool encoded, std::vector<std::string>& keys) {
  const json::string* key = object == nullptr ? nullptr : text_in(*object, "key");
  if (key == nullptr) return not_an_event("it names no object");
  if (!encoded) {
    keys.emplace_back(*key);
    return {};
  }
  ASAHI_TRY(std::string plain, http::percent_decode(*key, true));
  keys.push_back(std::move(plain));
  return {};
}

Result<std::vector<std::string>> keys_of_records(const json::array& records) {
  std::vector<std::string> keys;
  for (const json::value& each : records) {
    const json::object* record = each.if_object();
    if (record == nullptr) return not_an_event("a record is no object");
    const json::string* name = text_in(*record, "eventName");
    if (name == nullptr) return not_an_event("a record has no eventName");
    std::string_view what(*name);
    if (what.starts_with("s3:")) what.remove_prefix(3);  // MinIO
    if (!what.starts_with("ObjectCreated")) continue;
    const json::object* s3 = object_in(*record, "s3");
    if (s3 == nullptr) return not_an_event("a record has no s3");
    if (auto ok = add_key(object_in(*s3, "object"), true, keys); !ok)
      return std::unexpected(ok.error());
  }
  return keys;
}

bool is_creation(std::string_view action) {
  return action == "PutObject" || action == "CopyObject" || action == "CompleteMultipartUpload";
}

Result<std::vector<std::string>> keys_in(const json::object& event, bool wrapped) {
  std::vector<std::string> keys;
  if (const json::value* records = event.if_contains("Records"); records != nullptr) {
    if (!records->is_array()) return not_an_event("Records is no list");
    return keys_of_records(records->get_array());
  }
  if (const json::string* test = text_in(event, "Event");
      test != nullptr && *test == "s3:TestEvent")
    return keys;
  if (const json::string* message = text_in(event, "Message"); message != nullptr && !wrapped) {
    ASAHI_TRY(const json::value inner, parse_json(*message));
    if (!inner.is_object()) return not_an_event("SNS carries no object");
    return keys_in(inner.get_object(), true);
  }
  if (const json::string* type = text_in(event, "detail-type"); type != nullptr) {
    if (*type != "Object Created") return keys;
    const json::object* detail = object_in(event, "detail");
    if (auto ok = add_key(detail == nullptr ? nullptr : object_in(*detail, "object"), false, keys);
        !ok)
      return std::unexpected(ok.error());
    return keys;
  }
  if (const json::string* action = text_in(event, "action"); action != nullptr) {
    if (!is_creation(*action)) return keys;
    if (auto ok = add_key(object_in(event, "object"), false, keys); !ok)
      return std::unexpected(ok.error());
    return keys;
  }
  return not_an_event("neither S3's, SNS's, EventBridge's nor R2's");
}

}  // namespace

Result<std::vector<std::string>> created_keys(std::string_view body) {
  const auto event = parse_json(body);
  if (!event || !event->is_object()) return not_an_event("it is no JSON object");
  return keys_in(event->get_object(), false);
}

Result<UploadQueue> UploadQueue::make(Options options, Send send, const Clock& clock) {
  ASAHI_TRY(http::Url url, http::Url::parse(options.url));
  if (!options.dead_letter_url.empty()) {
    if (auto good = http::Url::parse(options.dead_letter_url); !good)
      return std::unexpected(good.error());
  }
  url.origin.base_path.clear();
  return UploadQueue(std::move(options), std::move(send), clock, std::move(url.origin));
}

Task<json::object> UploadQueue::ask(std::string action, json::object body,
                                    std::chrono::seconds patience) const {
  http::ClientRequest request{.method = http::Method::kPost,
                              .origin = endpoint_,
                              .target = "/",
                              .headers = {},
                              .body = json::serialize(body)};
  request.headers.set("Content-Type", "application/x-amz-json-1.0");
  request.headers.set("X-Amz-Target", "AmazonSQS." + action);
  if (!options_.signer.access_key_id.empty()) sign_aws(request, options_.signer, clock_->now());
  const auto deadline = std::chrono::steady_clock::now() + patience;
  ASAHI_CO_TRY(
      const http::ClientResponse reply,
      co_await send_(std::move(request), {.deadline = deadline, .idle_timeout = patience}));
  constexpr int kOk = 200, kBad = 400, kForbidden = 403;
  if (reply.status != kOk) {
    const Errc code = reply.status == kForbidden ? Errc::kUnauthenticated
                      : reply.status == kBad     ? Errc::kUpstream
                                                 : Errc::kUnavailable;
    co_return fail(code, fmt::format("the queue answered {} to {}: {}", reply.status, action,
                                     mended_utf8(reply.body, kShownBytes)));
  }
  if (reply.body.empty()) co_return json::object{};
  ASAHI_CO_TRY(json::value parsed, parse_json(reply.body));
  if (!parsed.is_object()) co_return fail(Errc::kUpstream, "the queue's answer is no JSON object");
  co_return std::move(parsed.get_object());
}

Task<std::vector<QueueMessage>> UploadQueue::receive() const {
  ASAHI_CO_TRY(
      const json::object reply,
      co_await ask("ReceiveMessage",
                   {{"QueueUrl", options_.url},
                    {"MaxNumberOfMessages", options_.batch},
                    {"WaitTimeSeconds", options_.wait.count()},
                    {"MessageSystemAttributeNames", json::array{"ApproximateReceiveCount"}}},
                   options_.wait + kPatience));
  std::vector<QueueMessage> messages;
  const json::value* list = reply.if_contains("Messages");
  if (list == nullptr || list->is_null()) co_return messages;
  if (!list->is_array()) co_return fail(Errc::kUpstream, "the queue's Messages are no list");
  for (const json::value& each : list->get_array()) {
    const json::object* object = each.if_object();
    const json::string* receipt = object == nullptr ? nullptr : text_in(*object, "ReceiptHandle");
    if (receipt == nullptr) co_return fail(Errc::kUpstream, "a message has no ReceiptHandle");
    QueueMessage message{.id = {}, .receipt = std::string(*receipt), .body = {}};
    if (const json::string* id = text_in(*object, "MessageId")) message.id = std::string(*id);
    if (const json::string* body = text_in(*object, "Body")) message.body = std::string(*body);
    if (const json::object* attributes = object_in(*object, "Attributes")) {
      if (const json::string* count = text_in(*attributes, "ApproximateReceiveCount"))
        std::from_chars(count->data(), count->data() + count->size(), message.receives);
    }
    messages.push_back(std::move(message));
  }
  co_return messages;
}

Task<void> UploadQueue::remove(std::vector<QueueMessage> messages) const {
  if (messages.empty()) co_return Result<void>{};
  json::array entries;
  for (std::size_t i = 0; i < messages.size(); ++i)
    entries.push_back(
        json::object{{"Id", std::to_string(i)}, {"ReceiptHandle", messages[i].receipt}});
  ASAHI_CO_TRY(
      [[maybe_unused]] const json::object reply,
      co_await ask("DeleteMessageBatch",
                   {{"QueueUrl", options_.url}, {"Entries", std::move(entries)}}, kPatience));
  co_return Result<void>{};
}

Task<void> UploadQueue::bury(QueueMessage message) const {
  if (!can_bury()) co_return Result<void>{};
  ASAHI_CO_TRY([[maybe_unused]] const json::object reply,
               co_await ask("SendMessage",
                            {{"QueueUrl", options_.dead_letter_url}, {"MessageBody", message.body}},
                            kPatience));
  co_return Result<void>{};
}

}  // namespace asahi::memory
