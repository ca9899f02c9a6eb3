#pragma once

#include <cstring>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "gateway/answer.h"
#include "gateway/governance/policy_store.h"
#include "gateway/routing/route.h"
#include "storage/cache/store.h"

namespace asahi::gateway {

/// A reply written once and sent many times: its text cut where each hit differs.
struct ReplyTemplate {
  std::string head;    ///< up to the id
  std::string middle;  ///< after the id, up to the `asahi` object
  std::string tail;    ///< after it
};

/// What is known about a request body that was seen before: its cache key and the answer last found
/// there, with the reply already written. Spares an exact repeat the parsing; whether the entry
/// still stands is asked of the cache every time.
struct KnownRequest {
  std::size_t body_bytes = 0;
  std::string cache_key;
  std::string user_id, task_id, task_type;
  RoutingMode routing_mode = RoutingMode::kAutopilot;
  std::shared_ptr<const OrgRules> rules;   ///< that the body was screened under
  std::weak_ptr<const std::string> bytes;  ///< stored form that `answer` and `reply` were made from
  std::shared_ptr<const Answer> answer;
  ReplyTemplate reply;

  std::size_t size() const {
    return cache_key.size() + reply.head.size() + reply.middle.size() + reply.tail.size() + 1'024;
  }
};

/// Body digest -> KnownRequest, least recently used out first, bounded in entries and bytes.
/// One per loop: not thread-safe.
class RequestMemo {
 public:
  struct Limits {
    std::size_t entries = 8'192;
    std::size_t bytes = 32U << 20;
  };
  explicit RequestMemo(Limits limits) : limits_(limits) {}

  /// False: no body of this length is known. Spares the others their digest.
  bool knows_length(std::size_t body_bytes) const { return lengths_[body_bytes % kLengths] > 0; }

  KnownRequest* find(const Digest128& digest) {
    const auto found = index_.find(digest);
    if (found == index_.end()) return nullptr;
    items_.splice(items_.begin(), items_, found->second);
    return &found->second->second;
  }

  void put(const Digest128& digest, KnownRequest known) {
    forget(digest);
    bytes_ += known.size();
    ++lengths_[known.body_bytes % kLengths];
    items_.emplace_front(digest, std::move(known));
    index_[digest] = items_.begin();
    while (items_.size() > limits_.entries || (bytes_ > limits_.bytes && items_.size() > 1))
      forget(items_.back().first);
  }

  void forget(Digest128 digest) {
    const auto found = index_.find(digest);
    if (found == index_.end()) return;
    bytes_ -= found->second->second.size();
    --lengths_[found->second->second.body_bytes % kLengths];
    items_.erase(found->second);
    index_.erase(found);
  }

  std::size_t size() const { return items_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Hash {
    std::size_t operator()(const Digest128& digest) const {
      std::size_t value;
      std::memcpy(&value, digest.data(), sizeof value);
      return value;
    }
  };
  static constexpr std::size_t kLengths = 4'096;
  Limits limits_;
  std::size_t bytes_ = 0;
  std::vector<std::uint32_t> lengths_ =
      std::vector<std::uint32_t>(kLengths);  ///< bodies known, by length
  std::list<std::pair<Digest128, KnownRequest>> items_;
  std::unordered_map<Digest128, std::list<std::pair<Digest128, KnownRequest>>::iterator, Hash>
      index_;
};

}  // namespace asahi::gateway
