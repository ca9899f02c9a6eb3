#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "gateway/dispatch/dispatcher.h"
#include "llm/vendor.h"
#include "llm/vendor_batches.h"

namespace asahi::gateway {

/// One vendor's wiring as configured.
struct VendorSettings {
  std::string name;
  /// "openai", "anthropic", "google", "ollama", "cohere": the wire format.
  std::string kind;
  std::string base_url;
  Secret api_key;
  bool needs_key = true;
};

struct ProvidersConfig;
/// Of every vendor that is configured.
std::vector<VendorSettings> vendor_settings(const ProvidersConfig& config);

/// Live health of one vendor, from polls and calls.
struct VendorStatus {
  std::string name;
  enum class State { kUnknown, kHealthy, kUnreachable, kNotConfigured } state = State::kUnknown;
  std::string error;
  Clock::Time checked{};
  bool seen = false;  ///< a poll has reached it since the start
};

/// The vendors of this process by provider name. In mock mode every name leads to the built-in
/// vendor.
class VendorSet final : public VendorDirectory {
 public:
  struct Options {
    std::vector<VendorSettings> vendors;
    bool mock = false;
    std::uint64_t mock_seed = 42;
    std::function<std::string(const llm::ChatRequest&)> mock_answers;  ///< see llm::MockOptions
  };
  /// Errors: invalid_argument for a base URL that cannot be used.
  static Result<std::unique_ptr<VendorSet>> make(Options options,
                                                 net::PerLoop<http::Client>& clients,
                                                 const Clock& clock);

  llm::ChatModel* chat(const std::string& provider, llm::Shape shape) override;
  llm::Embedder* embedder(const std::string& provider);
  /// The vendor's own batch API; null: it has none, or no key for it.
  llm::VendorBatches* batches(const std::string& provider);
  bool usable(const std::string& provider) const override;
  bool needs_key(const std::string& provider) const;
  /// Calls this vendor with `key` from now on; calls in flight go on with theirs. Any thread.
  void use_key(const std::string& provider, const Secret& key);
  bool mock() const { return options_.mock; }
  std::vector<std::string> names() const;

  /// Asks every configured vendor whether it is there (GW-081).
  Aw<void> poll(std::chrono::milliseconds timeout);
  std::vector<VendorStatus> statuses() const;
  VendorStatus status(const std::string& provider) const;
  /// True when the last poll failed and came after `since`.
  bool unreachable_since(const std::string& provider, Clock::Time since) const;

 private:
  explicit VendorSet(Options options, const Clock& clock)
      : options_(std::move(options)), clock_(clock) {}
  struct Wired {
    std::unique_ptr<llm::Vendor> chat, responses;
    std::unique_ptr<llm::VendorBatches> batches;
  };
  Options options_;
  const Clock& clock_;
  std::unordered_map<std::string, Wired> wired_;
  std::unique_ptr<llm::ChatModel> mock_chat_;
  std::unique_ptr<llm::Embedder> mock_embedder_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, VendorStatus> statuses_;
};

}  // namespace asahi::gateway
