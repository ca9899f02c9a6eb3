#include "memory/swap/swap_store.h"

#include <algorithm>

namespace asahi::memory::swap {
namespace {

constexpr std::chrono::seconds kLongestHold{30};
/// So many writes behind, the new side will have caught up in a moment.
constexpr std::uint64_t kInSight = 64;

/// The store, or the way to it, does not work; else the question was wrong.
bool is_failure(const Error& error) {
  switch (error.code) {
    case Errc::kInvalidArgument:
    case Errc::kNotFound:
    case Errc::kConflict:
    case Errc::kTooLarge:
    case Errc::kCancelled:
      return false;
    default:
      return true;
  }
}

}  // namespace

SwapStore::SwapStore(SharedBackend only, const Clock& clock, telemetry::Registry& metrics,
                     Options options)
    : clock_(clock),
      options_(options),
      fallbacks_(metrics.counter("akosha_hot_move_fallback_reads_total",
                                 "Reads that the old backend answered because the new one failed")),
      now_(std::move(only)) {}

void SwapStore::call_on_work(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

void SwapStore::wake() {
  std::function<void()> call;
  {
    const std::lock_guard lock(mutex_);
    call = wake_;
  }
  if (call) call();
}

SharedBackend SwapStore::now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

bool SwapStore::pressed() const {
  const SharedBackend side = now();
  return side->pressed && side->pressed();
}

hot::EngineStats SwapStore::engine_stats() const {
  const SharedBackend side = now();
  return side->engine ? side->engine() : hot::EngineStats{};
}

// ---- Writes.

Task<SharedBackend> SwapStore::begin_write() {
  const auto until = std::chrono::steady_clock::now() + kLongestHold;
  while (true) {
    const std::uint64_t seen = changes_.seen();
    {
      const std::lock_guard lock(mutex_);
      if (!held_) {
        ++writing_;
        co_return now_;
      }
    }
    if (std::chrono::steady_clock::now() >= until) {
      co_return fail(Errc::kUnavailable,
                     "the hot tier changes over to another backend; try again in a moment");
    }
    co_await changes_.since(seen, until);
  }
}

std::uint64_t SwapStore::count_write() { return ++written_; }

std::optional<std::uint64_t> SwapStore::end_write() {
  std::optional<std::uint64_t> number;
  bool told = false;
  {
    const std::lock_guard lock(mutex_);
    --writing_;
    told = held_;
    if (next_ != nullptr) {
      // A few that wait let the new side come into step while more is written all the time.
      const bool waits = reads_next_locked() || (window_ && !suspected_ && cleaned_ >= dirt_ &&
                                                 written_ - followed_ <= kInSight);
      const std::uint64_t mine = count_write();
      if (waits) {
        number = mine;
      } else {
        given_up_ = mine;
      }
    }
  }
  if (told) changes_.tell();
  if (number) wake();
  return number;
}

Aw<void> SwapStore::copied(std::uint64_t number) {
  const auto until = std::chrono::steady_clock::now() + options_.patience;
  while (true) {
    const std::uint64_t seen = changes_.seen();
    {
      const std::lock_guard lock(mutex_);
      if (next_ == nullptr || followed_ >= number || given_up_ >= number) co_return;
      if (std::chrono::steady_clock::now() >= until) {
        given_up_ = std::max(given_up_, number);
        co_return;
      }
    }
    co_await changes_.since(seen, until);
  }
}

Task<std::vector<UpsertOutcome>> SwapStore::upsert_batch(std::vector<Memory> memories,
                                                         UpsertOptions options) {
  ASAHI_CO_TRY(const SharedBackend side, co_await begin_write());
  auto outcomes = co_await side->store->upsert_batch(std::move(memories), options);
  // One that failed may have been written all the same.
  const std::optional<std::uint64_t> number = end_write();
  if (number && outcomes) co_await copied(*number);
  co_return outcomes;
}

Task<std::uint64_t> SwapStore::replace_vectors(std::vector<NewVector> rows) {
  ASAHI_CO_TRY(const SharedBackend side, co_await begin_write());
  auto replaced = co_await side->store->replace_vectors(std::move(rows));
  const std::optional<std::uint64_t> number = end_write();
  if (number && replaced) co_await copied(*number);
  co_return replaced;
}

Task<std::uint64_t> SwapStore::erase(OnOld on_old, OnNew on_new) {
  SharedBackend alone;
  {
    const std::lock_guard lock(mutex_);
    if (next_ == nullptr && !held_) {
      ++erasing_alone_;
      alone = now_;
    }
  }
  if (alone != nullptr) {
    auto gone = co_await on_old(*alone->store);
    {
      const std::lock_guard lock(mutex_);
      --erasing_alone_;
    }
    co_return gone;
  }
  net::Turns::Turn turn = co_await turns_.take();
  Sides sides;
  {
    const std::lock_guard lock(mutex_);
    sides = {.now = now_, .next = next_};
  }
  // The old side first: the other way round a crash in between would leave a row there that the new
  // one has lost, and no number would tell.
  auto gone = co_await on_old(*sides.now->store);
  if (sides.next == nullptr) co_return gone;
  auto followed = gone ? co_await on_new(*sides.now->store, *sides.next->store)
                       : Result<void>(std::unexpected(gone.error()));
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = count_write();  // what repeated an erased row has been written anew
    if (!followed) {
      ++dirt_;
      given_up_ = number;
    }
  }
  turn.end();
  if (gone && !followed) failed(FoundBy::kCall);
  wake();
  const bool waits = reads_next();
  if (waits) co_await copied(number);
  co_return gone;
}

Task<std::uint64_t> SwapStore::delete_batch(std::vector<Key> keys) {
  co_return co_await erase([keys](Store& old) { return old.delete_batch(keys); },
                           [keys](Store&, Store& followed) -> Task<void> {
                             auto gone = co_await followed.delete_batch(keys);
                             if (!gone) co_return std::unexpected(std::move(gone.error()));
                             co_return Result<void>{};
                           });
}

Task<std::uint64_t> SwapStore::delete_system(std::string tenant, std::string system_id) {
  co_return co_await erase(
      [tenant, system_id](Store& old) { return old.delete_system(tenant, system_id); },
      [tenant, system_id](Store&, Store& followed) -> Task<void> {
        auto gone = co_await followed.delete_system(tenant, system_id);
        if (!gone) co_return std::unexpected(std::move(gone.error()));
        co_return Result<void>{};
      });
}

Task<std::uint64_t> SwapStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  std::vector<Key> keys;
  for (const auto& [key, sum] : rows) {
    if (sum != Digest{}) keys.push_back(key);
  }
  co_return co_await erase([rows](Store& old) { return old.delete_migrated(rows); },
                           [keys](Store& old, Store& followed) -> Task<void> {
                             // Marks are the old side's; of the rest, what went there goes here
                             // with its duplicates.
                             if (keys.empty()) co_return Result<void>{};
                             ASAHI_CO_TRY(const auto left, co_await old.checksum(keys));
                             std::vector<Key> gone;
                             for (std::size_t i = 0; i < keys.size(); ++i) {
                               if (!left[i]) gone.push_back(keys[i]);
                             }
                             ASAHI_CO_TRY(const auto sums, co_await followed.checksum(gone));
                             std::vector<std::pair<Key, Digest>> there;
                             for (std::size_t i = 0; i < gone.size(); ++i) {
                               if (sums[i]) there.emplace_back(gone[i], *sums[i]);
                             }
                             ASAHI_CO_TRY([[maybe_unused]] const auto erased,
                                          co_await followed.delete_migrated(there));
                             ASAHI_CO_TRY([[maybe_unused]] const auto rest,
                                          co_await followed.delete_batch(std::move(gone)));
                             co_return Result<void>{};
                           });
}

// ---- Reads.

bool SwapStore::reads_next_locked() const {
  return next_ != nullptr && window_ && !suspected_ && cleaned_ >= dirt_ && followed_ >= given_up_;
}

bool SwapStore::reads_next() const {
  const std::lock_guard lock(mutex_);
  return reads_next_locked();
}

SharedBackend SwapStore::read_side() const {
  const std::lock_guard lock(mutex_);
  return reads_next_locked() ? next_ : nullptr;
}

template <class T>
Task<T> SwapStore::read(std::function<Task<T>(Store&)> call) {
  if (const SharedBackend next = read_side()) {
    auto reply = co_await call(*next->store);
    if (reply || !is_failure(reply.error())) {
      worked();
      co_return reply;
    }
    fallbacks_.add();
    failed(FoundBy::kCall);
  }
  const SharedBackend side = now();
  co_return co_await call(*side->store);
}

Task<StorePage> SwapStore::search(StoreQuery query) {
  return read<StorePage>([query = std::move(query)](Store& side) { return side.search(query); });
}

Task<std::vector<std::optional<Memory>>> SwapStore::get(std::vector<Key> keys) {
  return read<std::vector<std::optional<Memory>>>(
      [keys = std::move(keys)](Store& side) { return side.get(keys); });
}

Task<std::vector<Eligible>> SwapStore::scan_eligible(ScanQuery wanted) {
  const SharedBackend side = now();
  co_return co_await side->store->scan_eligible(std::move(wanted));
}

Task<std::map<std::string, std::uint64_t>> SwapStore::models(std::string tenant) {
  const SharedBackend side = now();
  co_return co_await side->store->models(std::move(tenant));
}

Task<std::vector<std::optional<Digest>>> SwapStore::checksum(std::vector<Key> keys) {
  const SharedBackend side = now();
  co_return co_await side->store->checksum(std::move(keys));
}

Task<TierStats> SwapStore::stats(std::string tenant) {
  const SharedBackend side = now();
  auto found = co_await side->store->stats(tenant);
  if (found) co_return found;
  const SharedBackend next = read_side();
  if (next == nullptr) co_return found;
  co_return co_await next->store->stats(tenant);
}

Task<std::vector<HeldFile>> SwapStore::snapshot(std::string folder, HeldSums held) {
  const SharedBackend side = now();
  co_return co_await side->store->snapshot(std::move(folder), std::move(held));
}

// ---- The move.

void SwapStore::begin(SharedBackend to) {
  const std::lock_guard lock(mutex_);
  next_ = std::move(to);
  circuit_ = std::make_shared<Circuit>(clock_, Breaker::Options{.failures = options_.failures});
  window_ = suspected_ = false;
  given_up_ = written_;  // who writes now waits for nothing
  dirt_ = cleaned_ + 1;
}

bool SwapStore::all_erasures_meet_both() const {
  const std::lock_guard lock(mutex_);
  return erasing_alone_ == 0;
}

std::uint64_t SwapStore::written() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

std::uint64_t SwapStore::followed() const {
  const std::lock_guard lock(mutex_);
  return followed_;
}

void SwapStore::set_followed(std::uint64_t written) {
  {
    const std::lock_guard lock(mutex_);
    followed_ = std::max(followed_, written);
  }
  changes_.tell();
}

std::uint64_t SwapStore::dirt() const {
  const std::lock_guard lock(mutex_);
  return dirt_;
}

void SwapStore::set_clean(std::uint64_t dirt) {
  const std::lock_guard lock(mutex_);
  cleaned_ = std::max(cleaned_, dirt);
}

bool SwapStore::clean() const {
  const std::lock_guard lock(mutex_);
  return cleaned_ >= dirt_;
}

void SwapStore::begin_window() {
  const std::lock_guard lock(mutex_);
  window_ = true;
  suspected_ = false;
  // What was written since the last page is not on the new side yet.
  given_up_ = written_;
}

void SwapStore::failed(FoundBy by) {
  {
    const std::lock_guard lock(mutex_);
    if (next_ == nullptr) return;
    if (by == FoundBy::kMover || !suspected_) circuit_->failed();
    suspected_ = true;
    given_up_ = written_;
  }
  changes_.tell();
  if (by == FoundBy::kCall) wake();
}

void SwapStore::worked() {
  const std::lock_guard lock(mutex_);
  if (circuit_ != nullptr) circuit_->succeeded();
}

bool SwapStore::failed_for_good() const {
  return circuit().consecutive_failures >= static_cast<std::uint64_t>(options_.failures);
}

void SwapStore::trust() {
  const std::lock_guard lock(mutex_);
  suspected_ = false;
}

bool SwapStore::suspected() const {
  const std::lock_guard lock(mutex_);
  return suspected_;
}

CircuitStats SwapStore::circuit() const {
  const std::lock_guard lock(mutex_);
  return circuit_ == nullptr ? CircuitStats{} : circuit_->stats();
}

Task<void> SwapStore::hold(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (true) {
    const std::uint64_t seen = changes_.seen();
    {
      const std::lock_guard lock(mutex_);
      held_ = true;
      if (writing_ == 0 && erasing_alone_ == 0) co_return Result<void>{};
    }
    if (std::chrono::steady_clock::now() >= until) {
      release();
      co_return fail(Errc::kUnavailable, "writes that are under way do not end; try again");
    }
    co_await changes_.since(seen, until);
  }
}

void SwapStore::release() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  changes_.tell();
}

void SwapStore::end_move_locked() {
  window_ = suspected_ = false;
  followed_ = given_up_ = written_;
  circuit_.reset();
}

SharedBackend SwapStore::keep_now() {
  SharedBackend left;
  {
    const std::lock_guard lock(mutex_);
    left = std::exchange(next_, nullptr);
    end_move_locked();
  }
  changes_.tell();
  return left;
}

SharedBackend SwapStore::adopt_next() {
  SharedBackend left;
  {
    const std::lock_guard lock(mutex_);
    left = std::exchange(now_, std::exchange(next_, nullptr));
    end_move_locked();
  }
  changes_.tell();
  return left;
}

}  // namespace asahi::memory::swap
