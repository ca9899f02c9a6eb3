#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "llm/embed/text_embedder.h"
#include "storage/vector/index.h"

namespace asahi::vector {
class LocalIndex;
}

namespace asahi::gateway {

/// Stands in while the embedder is away: the cache's entries under vectors of the local embedder,
/// in an index of their own, for vectors of two models never meet. It is there only while it is
/// needed: filled when the embedder fails, dropped some time after it is back. Thread-safe; `put`
/// computes, so not on a loop.
class StandIn {
 public:
  struct Options {
    std::size_t max_entries = 100'000;
    /// So long after the last failure it is kept: an embedder that was away may go again.
    std::chrono::milliseconds linger{300'000};
  };
  /// `embedder` answers try_embed.
  StandIn(Options options, std::unique_ptr<llm::TextEmbedder> embedder, const Clock& clock);
  ~StandIn();

  const llm::EmbedderTraits& traits() const { return embedder_->traits(); }
  bool active() const { return active_.load(std::memory_order_relaxed); }

  /// A question came that the embedder did not embed. Wakes it.
  void need();
  /// The nearest among what was put so far; nothing while it sleeps.
  Result<std::vector<vector::Hit>> search(std::string_view org, std::string_view text,
                                          vector::Metadata filter, std::size_t top_k) const;

  struct Entry {
    std::string org, id;
    std::string text;  ///< to embed
    vector::Metadata metadata;
  };
  /// Errors: those of the index. Does nothing while it sleeps.
  Result<void> put(std::span<const Entry> entries);
  void remove(std::string_view org, std::span<const std::string> ids);
  void remove_all(std::string_view org);

  /// True once after each waking: the caller fills it.
  bool take_waking();
  /// Drops the index when nobody needed it for `linger`; true when it did.
  bool rest();

  std::uint64_t lookups() const { return lookups_.load(std::memory_order_relaxed); }
  std::size_t entries() const;
  /// Memory that it takes now.
  std::size_t bytes() const;

 private:
  std::shared_ptr<vector::LocalIndex> index() const;

  const Options options_;
  const std::unique_ptr<llm::TextEmbedder> embedder_;
  const Clock& clock_;
  std::atomic<bool> active_{false};
  std::atomic<std::uint64_t> lookups_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<vector::LocalIndex> index_;  ///< null: asleep
  bool waking_ = false;
  Clock::Steady needed_{};
};

}  // namespace asahi::gateway
