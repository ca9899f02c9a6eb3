// Anthropic's message batches: the requests in the body, the answers as one file.
#include <fmt/format.h>

#include "base/json_out.h"
#include "llm/batch_codec.h"
#include "llm/wire/common.h"

namespace asahi::llm {
namespace wire {
namespace {

constexpr std::string_view kVendor = "Anthropic's batch API";
constexpr std::string_view kVersion = "2023-06-01";

WireRequest request_of(std::string target) {
  WireRequest request;
  request.target = std::move(target);
  request.headers.add("anthropic-version", std::string(kVersion));
  return request;
}

class AnthropicBatchCodec final : public VendorBatchCodec {
 public:
  Shape shape() const override { return Shape::kAnthropic; }

  std::optional<WireRequest> upload(std::string_view,
                                    const std::vector<VendorRow>&) const override {
    return std::nullopt;
  }
  Result<std::string> uploaded(std::string_view) const override { return std::string(); }

  WireRequest create(std::string_view, const std::vector<VendorRow>& rows,
                     std::string_view) const override {
    WireRequest request = request_of("/v1/messages/batches");
    request.headers.add("content-type", "application/json");
    JsonOut out(request.body);
    out.open_object().key("requests").open_array();
    for (const VendorRow& row : rows) {
      out.open_object().member("custom_id", row.id).key("params").raw(row.body).close_object();
    }
    out.close_array().close_object();
    return request;
  }

  // Its batches have neither names nor metadata.
  std::optional<WireRequest> list() const override { return std::nullopt; }
  std::optional<std::string> find(std::string_view, std::string_view) const override {
    return std::nullopt;
  }

  WireRequest show(std::string_view id) const override {
    return request_of(fmt::format("/v1/messages/batches/{}", http::percent_encode(id)));
  }
  WireRequest cancel(std::string_view id) const override {
    return request_of(fmt::format("/v1/messages/batches/{}/cancel", http::percent_encode(id)));
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
    if (string_at(*batch, "processing_status") == "ended") {
      status.state = VendorBatchStatus::State::kEnded;
      // `results_url` says the same with the vendor's own host in front, which may not be the one
      // that is configured.
      status.results.push_back(
          fmt::format("/v1/messages/batches/{}/results", http::percent_encode(status.id)));
    }
    return status;
  }

  Result<VendorRowAnswer> answer(std::string_view line, const VendorCodec& codec) const override {
    auto parsed = parse_json(line);
    const json::object* row = parsed ? parsed->if_object() : nullptr;
    VendorRowAnswer answer;
    if (row != nullptr) answer.id = string_at(*row, "custom_id");
    const json::object* result = row == nullptr ? nullptr : object_at(*row, "result");
    if (answer.id.empty() || result == nullptr)
      return garbage(kVendor, "a line of its answers lacks custom_id or result");
    const std::string_view type = string_at(*result, "type");
    if (const json::value* message = result->if_contains("message");
        type == "succeeded" && message != nullptr) {
      answer.answer = codec.decode(write_json(*message));
    } else if (type == "errored") {
      const json::object* outer = object_at(*result, "error");
      const json::object* error = outer == nullptr ? nullptr : object_at(*outer, "error");
      if (error == nullptr) error = outer;
      answer.answer =
          std::unexpected(error == nullptr ? vendor_error(500, {}, {})
                                           : vendor_error_of_type(string_at(*error, "type"),
                                                                  string_at(*error, "message")));
    } else {
      auto expired =
          fail(Errc::kUnavailable, "the vendor's batch ended before it came to this request");
      expired.error().reason = "vendor_batch_expired";
      answer.answer = std::move(expired);
    }
    return answer;
  }
};

}  // namespace
}  // namespace wire

std::unique_ptr<VendorBatchCodec> make_anthropic_batch_codec() {
  return std::make_unique<wire::AnthropicBatchCodec>();
}

}  // namespace asahi::llm
