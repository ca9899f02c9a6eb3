#include "memory/cold/row_cache.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace asahi::memory::cold {

RowCache::Loading RowCache::get(const std::string& name, std::function<Result<Rows>()> load) {
  auto promise = std::make_shared<std::promise<Result<Rows>>>();
  Loading loading;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(name); found != index_.end()) {
      kept_.splice(kept_.begin(), kept_, found->second);
      kept_.front().used = clock_.steady_now();
      return kept_.front().rows;
    }
    if (const auto found = loading_.find(name); found != loading_.end()) return found->second;
    loading = promise->get_future().share();
    loading_.emplace(name, loading);
  }
  boost::asio::post(work_, [this, name, promise, load = std::move(load)] {
    auto rows = load();
    keep(name, rows);
    promise->set_value(std::move(rows));
  });
  return loading;
}

void RowCache::keep(const std::string& name, const Result<Rows>& rows) {
  const std::lock_guard lock(mutex_);
  const auto found = loading_.find(name);
  const Loading loading = found->second;
  loading_.erase(found);
  if (!rows) return;
  const std::uint64_t bytes = (*rows)->bytes();
  const auto now = clock_.steady_now();
  while (!kept_.empty() && bytes_ + bytes > most_ && now - kept_.back().used >= kFresh) {
    bytes_ -= kept_.back().bytes;
    index_.erase(kept_.back().name);
    kept_.pop_back();
  }
  if (bytes_ + bytes > most_) return;
  bytes_ += bytes;
  kept_.push_front({.name = name, .rows = loading, .bytes = bytes, .used = now});
  index_[name] = kept_.begin();
}

std::uint64_t RowCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace asahi::memory::cold
