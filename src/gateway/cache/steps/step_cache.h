#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/cache/exact_cache.h"
#include "gateway/cache/steps/decompose.h"

namespace asahi::gateway {

/// Tier 3: results of the steps of composed requests, in the same kind of store and with the same
/// sealing as tier 1. A step is known by its organisation, its document, its type, and a digest of
/// its complete input and of everything in the request that an answer depends on: nothing like it
/// is ever taken for it. Callable from any loop.
class StepCache {
 public:
  struct Options {
    ExactCache::Options store;  ///< its tier becomes "t3"
    std::chrono::seconds ttl{86'400};
  };
  StepCache(Options options, cache::Store& primary, cache::Store& local, const Clock& clock);

  bool enabled() const { return cache_.enabled(); }
  /// `settings`: what else of the request an answer depends on, as canonical JSON.
  /// `{prefix}:t3:{org}:{document|none}:{type}:{digest}`; the document by a digest of its id.
  std::string key(std::string_view org, std::string_view document_id, std::string_view settings,
                  const Step& step) const;
  Aw<std::optional<ExactCache::Hit>> get(std::string key);
  Aw<void> put(std::string key, std::shared_ptr<const Answer> answer, bool sealed);

  /// The steps of one document. How many were removed.
  Task<std::uint64_t> forget_document(std::string org, std::string document_id);
  /// One step; keys of other organisations are unknown here.
  Task<std::uint64_t> forget_key(std::string org, std::string key);
  /// The store's own view: listing, clearing, export.
  ExactCache& entries() { return cache_; }

  struct Stats {
    std::uint64_t step_hits = 0, step_misses = 0;
  };
  Stats stats() const { return {hits_, misses_}; }

 private:
  std::string document(std::string_view document_id) const;

  const Digest128 digest_key_;
  const std::chrono::seconds ttl_;
  ExactCache cache_;
  std::atomic<std::uint64_t> hits_{0}, misses_{0};
};

/// The request's members that an answer depends on besides what it asks, as canonical JSON: its
/// settings and instructions without its prompt.
std::string step_settings(const json::object& body, std::string_view system);

}  // namespace asahi::gateway
