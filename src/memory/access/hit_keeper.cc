#include "memory/access/hit_keeper.h"

#include <chrono>
#include <utility>

namespace asahi::memory {
namespace {

constexpr std::chrono::seconds kEvery{10};

}  // namespace

HitKeeper::HitKeeper(Parts parts)
    : parts_(parts),
      hits_(parts.database),
      written_(parts.metrics.counter("akosha_access_hits_total",
                                     "Memories that searches gave back, counted for access rules")),
      lost_(parts.metrics.counter("akosha_access_hits_lost_total",
                                  "Hits that were not counted for want of room")),
      background_(parts.loop) {}

void HitKeeper::start() {
  background_.run("hits of memories", [this](net::Background::Sleep sleep) {
    return write_from_time_to_time(std::move(sleep));
  });
}

Task<void> HitKeeper::write() {
  const std::int64_t today = day_of(parts_.clock.now());
  if (auto ok = co_await hits_.counting(today); !ok) co_return ok;
  HitCounter::Taken taken = counter_.take();
  lost_.add(static_cast<double>(std::exchange(taken.lost, 0)));
  if (taken.hits.empty()) co_return Result<void>{};
  std::uint64_t sum = 0;
  for (const auto& [key, hits] : taken.hits) sum += hits;
  auto hits = taken.hits;
  auto done = co_await hits_.add(std::move(hits), today);
  if (done) {
    written_.add(static_cast<double>(sum));
  } else {
    // Some of it may stand there: counted twice is better than not.
    counter_.put_back(std::move(taken));
  }
  co_return done;
}

Aw<void> HitKeeper::write_from_time_to_time(net::Background::Sleep sleep) {
  while (true) {
    // The last time after the stop.
    const bool last = background_.stopping();
    if (auto done = co_await write(); !done)
      logger_.warning("hits of memories are not written", {{"error", done.error().message}});
    if (last) break;
    co_await sleep(kEvery);
  }
}

}  // namespace asahi::memory
