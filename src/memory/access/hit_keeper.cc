#include "memory/access/hit_keeper.h"

#include <memory>
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
                                  "Hits that were not counted for want of room")) {}

void HitKeeper::start() {
  started_ = true;
  parts_.loop.spawn("hits of memories",
                    [this, mark = std::make_shared<InFlight::Mark>(running_)]() -> Aw<void> {
                      co_await write_from_time_to_time();
                    });
}

void HitKeeper::stop() {
  if (stop_.exchange(true) || !started_) return;
  // Marked, so that this waits for the end of cancel() too.
  parts_.loop.post([this, mark = std::make_shared<InFlight::Mark>(running_)] {
    if (nap_ != nullptr) nap_->cancel();
  });
  running_.wait();
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

Aw<void> HitKeeper::write_from_time_to_time() {
  while (true) {
    // The last time after the stop.
    const bool last = stop_;
    if (auto done = co_await write(); !done)
      logger_.warning("hits of memories are not written", {{"error", done.error().message}});
    if (last) break;
    CancelSource nap;
    nap_ = &nap;
    if (!stop_) co_await parts_.loop.sleep_for(kEvery, &nap);
    nap_ = nullptr;
  }
}

}  // namespace asahi::memory
