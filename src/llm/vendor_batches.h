#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llm/batch_codec.h"
#include "llm/vendor.h"

namespace asahi::llm {

/// A vendor's batch API over HTTP. Callable from any loop. Each call is one attempt. Errors: as
/// those of VendorCodec::decode_error, and of the HTTP client.
class VendorBatches {
 public:
  /// `vendor` outlives it.
  VendorBatches(Vendor& vendor, std::unique_ptr<VendorBatchCodec> codec)
      : vendor_(vendor), codec_(std::move(codec)) {}

  const VendorCodec& rows() const { return vendor_.codec(); }
  /// The vendor's id of the new batch. After an error of the network it may exist all the same.
  Task<std::string> submit(std::string name, std::vector<VendorRow> rows, CallContext context);
  /// Looks for a batch whose creation was not seen to its end. Empty: there is none, or the
  /// vendor's batches carry no names.
  Task<std::optional<std::string>> find(std::string name, CallContext context);
  Task<VendorBatchStatus> status(std::string id, CallContext context);
  /// Hands over the answers one by one as they arrive; an error that `take` returns ends it.
  Task<void> answers(VendorBatchStatus of, CallContext context,
                     std::function<Task<void>(VendorRowAnswer)> take);
  Task<void> cancel(std::string id, CallContext context);

 private:
  Task<std::string> call(http::Method method, WireRequest request, CallContext context);

  Vendor& vendor_;
  std::unique_ptr<VendorBatchCodec> codec_;
};

}  // namespace asahi::llm
