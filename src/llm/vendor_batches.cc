#include "llm/vendor_batches.h"

namespace asahi::llm {

Task<std::string> VendorBatches::call(http::Method method, WireRequest request,
                                      CallContext context) {
  co_return co_await vendor_.send(method, std::move(request), context);
}

Task<std::string> VendorBatches::submit(std::string name, std::vector<VendorRow> rows,
                                        CallContext context) {
  std::string file;
  if (auto upload = codec_->upload(name, rows)) {
    ASAHI_CO_TRY(const std::string reply,
                 co_await call(http::Method::kPost, *std::move(upload), context));
    ASAHI_CO_TRY(file, codec_->uploaded(reply));
  }
  WireRequest create = codec_->create(name, rows, file);
  ASAHI_CO_TRY(const std::string reply,
               co_await call(http::Method::kPost, std::move(create), context));
  ASAHI_CO_TRY(const VendorBatchStatus status, codec_->status(reply));
  co_return status.id;
}

Task<std::optional<std::string>> VendorBatches::find(std::string name, CallContext context) {
  auto list = codec_->list();
  if (!list) co_return std::optional<std::string>();
  ASAHI_CO_TRY(const std::string reply,
               co_await call(http::Method::kGet, *std::move(list), context));
  co_return codec_->find(name, reply);
}

Task<VendorBatchStatus> VendorBatches::status(std::string id, CallContext context) {
  WireRequest show = codec_->show(id);
  ASAHI_CO_TRY(const std::string reply,
               co_await call(http::Method::kGet, std::move(show), context));
  co_return codec_->status(reply);
}

Task<void> VendorBatches::answers(VendorBatchStatus of, CallContext context,
                                  std::function<Task<void>(VendorRowAnswer)> take) {
  for (const std::string& target : of.results) {
    WireRequest get = codec_->result(target);
    ASAHI_CO_TRY(const std::string text,
                 co_await call(http::Method::kGet, std::move(get), context));
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
      ASAHI_CO_TRY(VendorRowAnswer answer, codec_->answer(line, vendor_.codec()));
      if (auto taken = co_await take(std::move(answer)); !taken) co_return taken;
    }
  }
  co_return Result<void>{};
}

Task<void> VendorBatches::cancel(std::string id, CallContext context) {
  WireRequest request = codec_->cancel(id);
  ASAHI_CO_TRY(const std::string reply,
               co_await call(http::Method::kPost, std::move(request), context));
  static_cast<void>(reply);
  co_return Result<void>{};
}

}  // namespace asahi::llm
