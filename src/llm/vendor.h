#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "llm/chat_model.h"
#include "llm/codec.h"
#include "net/http/client.h"
#include "net/loop.h"

namespace asahi::llm {

/// A vendor reached over HTTP: one wire format, one origin, one platform key, pools per loop.
struct VendorOptions {
  std::string name;     ///< "openai"
  http::Origin origin;  ///< base URL; the codec's targets go below it
  Secret api_key;       ///< at the start; empty: none (Ollama), or the caller must bring one
  bool needs_key = true;
};

class Vendor final : public ChatModel, public Embedder {
 public:
  /// `clients`: one HTTP client per loop, shared by all vendors. Both references outlive the
  /// vendor.
  Vendor(VendorOptions options, std::unique_ptr<VendorCodec> codec,
         net::PerLoop<http::Client>& clients);
  ~Vendor() override;

  const VendorOptions& options() const { return options_; }
  const VendorCodec& codec() const { return *codec_; }
  /// Replaces the platform's key: calls from now on use it. Any thread.
  void use_key(Secret key);
  bool has_key() const { return has_key_.load(std::memory_order_relaxed); }

  /// `request.model` is the vendor's model name. One attempt: retry, breaker and failover are the
  /// caller's.
  Task<ChatResponse> chat(const ChatRequest& request, const CallContext& context) override;
  Task<std::unique_ptr<ChatStream>> stream(const ChatRequest& request,
                                           const CallContext& context) override;
  Task<EmbeddingResponse> embed(const EmbeddingRequest& request,
                                const CallContext& context) override;
  /// A call that is no chat (batches): authorised, its 2xx body as it came. One attempt.
  Task<std::string> send(http::Method method, WireRequest request, CallContext context);
  /// A cheap reachability check (GET of the models list; any HTTP answer below 500 counts).
  Task<void> probe(const CallContext& context);

 private:
  Secret platform_key() const;
  Result<std::string> key_of(const CallContext& context) const;

  const VendorOptions options_;
  std::unique_ptr<VendorCodec> codec_;
  net::PerLoop<http::Client>& clients_;
  mutable std::mutex mutex_;  // guards the key
  Secret key_;
  std::atomic<bool> has_key_;
};

/// The vendor inside (gateway spec §3.2): latency ~ avg × U(0.8, 1.2) slept at 1 %, output tokens
/// max(20, input × U(0.3, 0.8)), text that names the model and the input token count; the same for
/// the same seed and prompt. Prompt markers inject failures: [[mock:429]], [[mock:500]],
/// [[mock:timeout]], [[mock:cut]] (stream cut half way), [[mock:tool:NAME]] (calls that tool),
/// [[mock:echo:TEXT]] (answers TEXT).
struct MockOptions {
  std::uint64_t seed = 42;
  std::chrono::milliseconds average_latency{150};
  double latency_scale = 0.01;
  /// What to say in place of its own prose; an empty text: its own prose. Called on any thread.
  std::function<std::string(const ChatRequest&)> answers;
};
std::unique_ptr<ChatModel> make_mock_vendor(MockOptions options);
std::unique_ptr<Embedder> make_mock_embedder(std::uint64_t seed, std::size_t dimension);

/// Words × 1.3, rounded down, at least 1 for non-blank text (gateway spec §3.2).
std::int64_t estimate_tokens(std::string_view text);
/// The estimate over everything a request sends.
std::int64_t estimate_tokens(const ChatRequest& request);

}  // namespace asahi::llm
