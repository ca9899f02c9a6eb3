#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "net/http/client.h"
#include "net/http/sigv4.h"
#include "net/http/url.h"

namespace asahi::memory {

/// One message of a bucket's events.
struct QueueMessage {
  std::string id, receipt, body;
  std::uint64_t receives = 1;  ///< how often it was given out, this time among them
};

/// A queue of Amazon SQS, or one that speaks its JSON protocol (ElasticMQ, LocalStack), to which a
/// bucket sends its events. Any loop. Errors of all: unavailable, timeout, unauthenticated,
/// upstream (with the queue's own words).
class UploadQueue {
 public:
  using Send = std::function<Task<http::ClientResponse>(http::ClientRequest, http::CallOptions)>;
  struct Options {
    std::string url;                ///< "https://sqs.us-east-1.amazonaws.com/123456789012/uploads"
    std::string dead_letter_url;    ///< of the queue for what nobody understands; empty: none
    http::AwsSigner signer;         ///< without an access key requests are not signed
    std::size_t batch = 10;         ///< messages of one call, 1 to 10
    std::chrono::seconds wait{20};  ///< a call stays open so long while there is none, 0 to 20
  };
  /// Errors: invalid_argument (an URL). `clock` outlives it.
  static Result<UploadQueue> make(Options options, Send send, const Clock& clock);

  /// Waits for messages. They are hidden from others for the queue's own time.
  Task<std::vector<QueueMessage>> receive() const;
  /// Takes messages from the queue for good, at most 10.
  Task<void> remove(std::vector<QueueMessage> messages) const;
  /// Puts a message aside where somebody can look at it; nothing without a queue for that.
  Task<void> bury(QueueMessage message) const;
  bool can_bury() const { return !options_.dead_letter_url.empty(); }

 private:
  UploadQueue(Options options, Send send, const Clock& clock, http::Origin endpoint)
      : options_(std::move(options)),
        send_(std::move(send)),
        clock_(&clock),
        endpoint_(std::move(endpoint)) {}
  Task<json::object> ask(std::string action, json::object body,
                         std::chrono::seconds patience) const;

  Options options_;
  Send send_;
  const Clock* clock_;
  http::Origin endpoint_;
};

/// The keys of objects that a message says were created: S3's and MinIO's records, the same through
/// SNS, EventBridge's and R2's events, percent-decoded. None for a bucket's test message or other
/// events. Errors: invalid_argument for what is none of these.
Result<std::vector<std::string>> created_keys(std::string_view body);

}  // namespace asahi::memory
