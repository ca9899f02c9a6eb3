#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "base/cancel.h"
#include "base/secret.h"
#include "base/task.h"
#include "llm/message.h"

namespace asahi::llm {

/// What travels with a call besides its content.
struct CallContext {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::chrono::milliseconds idle_timeout{30'000};  ///< longest silence of the vendor
  CancelSource* cancel = nullptr;                  ///< may be null
  std::string request_id;
  /// W3C Trace Context, passed on to vendors; empty: none.
  std::string traceparent, tracestate;
  Secret api_key;  ///< overrides the vendor's configured key; never stored
};

/// An answer that is still arriving. Destroying it before the end closes the vendor's connection.
class ChatStream {
 public:
  virtual ~ChatStream() = default;
  /// The next events, at least one; empty after kDone. Errors: upstream with reason "stream_cut"
  /// when the vendor broke off, timeout when it stalled, cancelled, and whatever an error event
  /// inside the stream said.
  virtual Task<std::vector<StreamEvent>> next() = 0;
};

/// Anything that answers chats: a vendor, the in-process gateway, a remote gateway. Callable from
/// any loop.
class ChatModel {
 public:
  virtual ~ChatModel() = default;
  virtual Task<ChatResponse> chat(const ChatRequest& request, const CallContext& context) = 0;
  virtual Task<std::unique_ptr<ChatStream>> stream(const ChatRequest& request,
                                                   const CallContext& context) = 0;
};

/// Texts to unit-length vectors.
class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual Task<EmbeddingResponse> embed(const EmbeddingRequest& request,
                                        const CallContext& context) = 0;
};

}  // namespace asahi::llm
