// OpenAI's batch API: a file of requests, a batch of the file, files of answers.
#include <fmt/format.h>

#include "base/ids.h"
#include "base/json_out.h"
#include "llm/batch_codec.h"
#include "llm/wire/common.h"

namespace asahi::llm {
namespace wire {
namespace {

constexpr std::string_view kVendor = "OpenAI's batch API";
constexpr std::string_view kChat = "/v1/chat/completions";
/// The member of a batch's metadata that holds our name for it.
constexpr std::string_view kName = "asahi_job";

WireRequest request_of(std::string target) {
  WireRequest request;
  request.target = std::move(target);
  return request;
}

/// What became of a row whose error stands in place of its reply.
Error row_error(const json::object& error) {
  const std::string_view code = string_at(error, "code");
  if (code == "batch_expired" || code == "batch_cancelled") {
    Error expired;
    expired.code = Errc::kUnavailable;
    expired.reason = "vendor_batch_expired";
    expired.message = "the vendor's batch ended before it came to this request";
    return expired;
  }
  return vendor_error(500, {}, string_at(error, "message"));
}

class OpenAiBatchCodec final : public VendorBatchCodec {
 public:
  Shape shape() const override { return Shape::kOpenAiChat; }

  std::optional<WireRequest> upload(std::string_view name,
                                    const std::vector<VendorRow>& rows) const override {
    // Random, so that no row holds it.
    const std::string boundary = random_id("asahi-", 32);
    WireRequest request = request_of("/v1/files");
    request.headers.add("content-type", fmt::format("multipart/form-data; boundary={}", boundary));
    std::string& body = request.body;
    body = fmt::format(
        "--{0}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
        "--{0}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{1}.jsonl\"\r\n"
        "Content-Type: application/jsonl\r\n\r\n",
        boundary, name);
    for (const VendorRow& row : rows) {
      JsonOut(body)
          .open_object()
          .member("custom_id", row.id)
          .member("method", "POST")
          .member("url", kChat)
          .key("body")
          .raw(row.body)
          .close_object();
      body += '\n';
    }
    body += fmt::format("\r\n--{}--\r\n", boundary);
    return request;
  }

  Result<std::string> uploaded(std::string_view body) const override {
    auto parsed = parse_json(body);
    const json::object* file = parsed ? parsed->if_object() : nullptr;
    std::string id(file == nullptr ? std::string_view() : string_at(*file, "id"));
    if (id.empty()) return garbage(kVendor, "the uploaded file has no id");
    return id;
  }

  WireRequest create(std::string_view name, const std::vector<VendorRow>&,
                     std::string_view file) const override {
    WireRequest request = request_of("/v1/batches");
    request.headers.add("content-type", "application/json");
    JsonOut out(request.body);
    out.open_object()
        .member("input_file_id", file)
        .member("endpoint", kChat)
        .member("completion_window", "24h");
    out.key("metadata").open_object().member(kName, name).close_object();
    out.close_object();
    return request;
  }

  std::optional<WireRequest> list() const override { return request_of("/v1/batches?limit=100"); }

  std::optional<std::string> find(std::string_view name, std::string_view body) const override {
    auto parsed = parse_json(body);
    const json::object* list = parsed ? parsed->if_object() : nullptr;
    const json::array* data = list == nullptr ? nullptr : array_at(*list, "data");
    if (data == nullptr) return std::nullopt;
    for (const json::value& item : *data) {
      const json::object* batch = item.if_object();
      const json::object* metadata = batch == nullptr ? nullptr : object_at(*batch, "metadata");
      if (metadata != nullptr && string_at(*metadata, kName) == name)
        return std::string(string_at(*batch, "id"));
    }
    return std::nullopt;
  }

  WireRequest show(std::string_view id) const override {
    return request_of(fmt::format("/v1/batches/{}", http::percent_encode(id)));
  }
  WireRequest cancel(std::string_view id) const override {
    return request_of(fmt::format("/v1/batches/{}/cancel", http::percent_encode(id)));
  }
  WireRequest result(std::string_view target) const override {
    return request_of(std::string(target));
  }

  Result<VendorBatchStatus> status(std::string_view body) const override {
    auto parsed = parse_json(body);
    const json::object* batch = parsed ? parsed->if_object() : nullptr;
    VendorBatchStatus status;
    status.id = batch == nullptr ? std::string_view() : string_at(*batch, "id");
    if (status.id.empty()) return garbage(kVendor, "the batch has no id");
    const std::string_view word = string_at(*batch, "status");
    if (word == "failed") {
      status.state = VendorBatchStatus::State::kFailed;
      const json::object* errors = object_at(*batch, "errors");
      const json::array* data = errors == nullptr ? nullptr : array_at(*errors, "data");
      if (data != nullptr && !data->empty() && data->front().is_object())
        status.message = string_at(data->front().get_object(), "message");
    } else if (word == "completed" || word == "expired" || word == "cancelled") {
      status.state = VendorBatchStatus::State::kEnded;
    }
    for (const std::string_view key : {"output_file_id", "error_file_id"}) {
      if (const std::string_view id = string_at(*batch, key); !id.empty())
        status.results.push_back(fmt::format("/v1/files/{}/content", http::percent_encode(id)));
    }
    return status;
  }

  Result<VendorRowAnswer> answer(std::string_view line, const VendorCodec& codec) const override {
    auto parsed = parse_json(line);
    const json::object* row = parsed ? parsed->if_object() : nullptr;
    VendorRowAnswer answer;
    if (row != nullptr) answer.id = string_at(*row, "custom_id");
    if (answer.id.empty()) return garbage(kVendor, "a line of its answers has no custom_id");
    const json::object* response = object_at(*row, "response");
    if (response == nullptr) {
      const json::object* error = object_at(*row, "error");
      answer.answer = std::unexpected(row_error(error == nullptr ? json::object() : *error));
      return answer;
    }
    const json::value* code = response->if_contains("status_code");
    const int status_code =
        code != nullptr && code->is_int64() ? static_cast<int>(code->get_int64()) : 500;
    const json::value* body = response->if_contains("body");
    const std::string text = body == nullptr ? std::string() : write_json(*body);
    if (status_code == 200) {
      answer.answer = codec.decode(text);
    } else {
      answer.answer = std::unexpected(codec.decode_error(status_code, {}, text));
    }
    return answer;
  }
};

}  // namespace
}  // namespace wire

std::unique_ptr<VendorBatchCodec> make_openai_batch_codec() {
  return std::make_unique<wire::OpenAiBatchCodec>();
}

}  // namespace asahi::llm
