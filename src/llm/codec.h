#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "llm/message.h"
#include "net/http/message.h"
#include "net/sse/parser.h"

namespace asahi::llm {

/// ---- Towards vendors
/// -------------------------------------------------------------------------------------

/// What a vendor call looks like on the wire, before origin and credentials are known.
struct WireRequest {
  std::string target;     ///< "/v1/chat/completions"
  http::Headers headers;  ///< content type, anthropic-version …; not the credentials
  std::string body;
};

/// Reads one streamed answer. Pure: bytes in, events out. One per call.
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;
  /// Bytes of the body, cut anywhere. Errors: upstream for garbage or an error event inside the
  /// stream (typed as `decode_error` would).
  virtual Result<void> feed(std::string_view bytes, std::vector<StreamEvent>& out) = 0;
  /// The body ended. An error (upstream, reason "stream_cut") when the vendor's end mark had not
  /// come.
  virtual Result<void> finish(std::vector<StreamEvent>& out) = 0;
};

/// One vendor's wire format. Stateless, thread-safe, pure.
class VendorCodec {
 public:
  virtual ~VendorCodec() = default;
  virtual Shape shape() const = 0;
  /// `model`: the vendor's own model name. When `request.shape` is this codec's shape, starts from
  /// the client's original JSON so that nothing gets lost. Errors: invalid_argument for what this
  /// vendor cannot express.
  virtual Result<WireRequest> encode(const ChatRequest& request, std::string_view model) const = 0;
  /// A 2xx body. Errors: upstream for garbage or an error object inside a 200.
  virtual Result<ChatResponse> decode(std::string_view body) const = 0;
  virtual std::unique_ptr<StreamDecoder> stream_decoder() const = 0;
  /// A non-2xx answer as a typed error: 400/404/422 invalid_argument, 401/403 upstream with reason
  /// "vendor_auth" , 408 timeout, 413 too_large, 429 rate_limited with Retry-After (seconds or
  /// date), 5xx/529 unavailable. The message carries the vendor's own message, cut at 300
  /// characters and stripped of keys.
  virtual Error decode_error(int status, const http::Headers& headers,
                             std::string_view body) const = 0;
  /// Sets the credential headers ("authorization: Bearer …", "x-api-key", "x-goog-api-key").
  virtual void authorize(http::Headers& headers, std::string_view key) const = 0;

  /// Embeddings; the default is invalid_argument "this vendor has no embeddings".
  virtual Result<WireRequest> encode_embedding(const EmbeddingRequest& request,
                                               std::string_view model) const;
  virtual Result<EmbeddingResponse> decode_embedding(std::string_view body) const;
};

/// ---- Towards clients
/// -------------------------------------------------------------------------------------

/// What the gateway adds to an answer: becomes the `asahi` object of vendor-shaped replies.
/// Serialized JSON object.
using Extras = std::string;

/// Writes one streamed answer for a client. Pure. One per call.
class StreamEncoder {
 public:
  virtual ~StreamEncoder() = default;
  /// Appends the SSE text for `event`.
  virtual void encode(const StreamEvent& event, std::string& out) = 0;
  /// The end: finish reason, usage when asked for, `asahi`, end mark. `final` holds the totals.
  virtual void finish(const ChatResponse& final, const Extras& extras, std::string& out) = 0;
  /// An error the shape's SDKs raise; nothing follows it.
  virtual void fail(const Error& error, std::string_view request_id, std::string& out) = 0;
};

/// One client-facing API shape. Stateless, thread-safe, pure.
class ClientCodec {
 public:
  virtual ~ClientCodec() = default;
  virtual Shape shape() const = 0;
  /// Errors: invalid_argument with `field` ("messages[0].content") and the rule it breaks.
  virtual Result<ChatRequest> decode(std::shared_ptr<const JsonDocument> body) const = 0;
  /// `id`, `model` of the response are written as they are. `created`: Unix seconds.
  virtual std::string encode(const ChatRequest& request, const ChatResponse& response,
                             const Extras& extras, std::int64_t created) const = 0;
  virtual std::unique_ptr<StreamEncoder> stream_encoder(const ChatRequest& request, std::string id,
                                                        std::string model,
                                                        std::int64_t created) const = 0;
  /// The shape's error body.
  virtual std::string encode_error(const Error& error, int status,
                                   std::string_view request_id) const = 0;
};

}  // namespace asahi::llm
