#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/codec.h"

namespace asahi::llm {

/// One request of a vendor's batch.
struct VendorRow {
  std::string id;    ///< 1 to 64 of A-Z a-z 0-9 _ -, once per batch
  std::string body;  ///< as VendorCodec::encode wrote it
};

/// One answer of a vendor's batch. Errors: those of VendorCodec::decode_error for a request that
/// the vendor refused; unavailable with reason "vendor_batch_expired" for one it did not come to.
struct VendorRowAnswer {
  std::string id;
  Result<ChatResponse> answer;
};

/// How far a vendor's batch is.
struct VendorBatchStatus {
  enum class State { kRunning, kEnded, kFailed };
  std::string id;  ///< the vendor's
  State state = State::kRunning;
  std::vector<std::string> results;  ///< targets of GET requests: the answers, one JSON per line
  std::string message;               ///< why it failed
};

/// The wire format of a vendor's own batch API: requests that are answered within a day at a lower
/// price. Stateless, thread-safe, pure.
class VendorBatchCodec {
 public:
  virtual ~VendorBatchCodec() = default;
  /// The chat format in which rows are written and answered.
  virtual Shape shape() const = 0;
  /// The request before the first, where the rows are uploaded apart; empty: they are not.
  virtual std::optional<WireRequest> upload(std::string_view name,
                                            const std::vector<VendorRow>& rows) const = 0;
  /// The id that the reply to `upload` names. Errors: upstream.
  virtual Result<std::string> uploaded(std::string_view body) const = 0;
  /// `name`: ours, by which the batch can be found again. `file`: what `uploaded` said.
  virtual WireRequest create(std::string_view name, const std::vector<VendorRow>& rows,
                             std::string_view file) const = 0;
  /// GET of the newest batches, to find one whose creation was not seen to its end; empty: this
  /// vendor's batches carry no names.
  virtual std::optional<WireRequest> list() const = 0;
  /// The id of the batch called `name` in the reply to `list`; empty: it is not there.
  virtual std::optional<std::string> find(std::string_view name, std::string_view body) const = 0;
  virtual WireRequest show(std::string_view id) const = 0;    ///< GET
  virtual WireRequest cancel(std::string_view id) const = 0;  ///< POST
  /// GET of `target`, one of the results.
  virtual WireRequest result(std::string_view target) const = 0;
  /// The reply to `create` and `show`. Errors: upstream.
  virtual Result<VendorBatchStatus> status(std::string_view body) const = 0;
  /// One line of the results. Errors: upstream.
  virtual Result<VendorRowAnswer> answer(std::string_view line, const VendorCodec& codec) const = 0;
};

/// POST /v1/files, /v1/batches.
std::unique_ptr<VendorBatchCodec> make_openai_batch_codec();
/// POST /v1/messages/batches.
std::unique_ptr<VendorBatchCodec> make_anthropic_batch_codec();

}  // namespace asahi::llm
