#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace asahi::net {

TimerWheel::TimerWheel(Tick now) : now_(now) {}

TimerWheel::~TimerWheel() {
  for (Entry*& head : slots_) {
    while (head != nullptr) {
      Entry* const entry = head;
      unlink(entry);
      entry->wheel = nullptr;  // its owner deletes it
      entry->expired = nullptr;
    }
  }
}

TimerWheel::Entry* TimerWheel::add(Tick due, std::function<void()> expired) {
  std::unique_ptr<Entry> entry;
  if (spare_.empty()) {
    entry = std::make_unique<Entry>();
    entry->wheel = this;
  } else {
    entry = std::move(spare_.back());
    spare_.pop_back();
  }
  constexpr Tick kFurthest = (Tick{1} << (6 * kLevels)) - 1;
  entry->due = std::clamp(due, now_ + 1, now_ + kFurthest);
  entry->expired = std::move(expired);
  link(entry.get());
  return entry.release();
}

void TimerWheel::drop(Entry* entry) {
  std::unique_ptr<Entry> owned(entry);
  TimerWheel* const wheel = entry->wheel;
  if (wheel == nullptr) return;
  if (entry->slot != kUnlinked) wheel->unlink(entry);
  entry->expired = nullptr;
  if (wheel->spare_.size() < kMaxSpare) wheel->spare_.push_back(std::move(owned));
}

void TimerWheel::link(Entry* entry) {
  const Tick delta = entry->due - now_;
  std::size_t level = 0;
  while (level + 1 < kLevels && delta >= (Tick{1} << (6 * (level + 1)))) ++level;
  const std::size_t slot = (entry->due >> (6 * level)) & (kSlots - 1);
  entry->slot = static_cast<std::uint16_t>(level * kSlots + slot);
  Entry*& head = slots_[entry->slot];
  entry->prev = nullptr;
  entry->next = head;
  if (head != nullptr) head->prev = entry;
  head = entry;
  used_[level] |= std::uint64_t{1} << slot;
}

void TimerWheel::unlink(Entry* entry) {
  Entry*& head = slots_[entry->slot];
  if (entry->prev != nullptr) {
    entry->prev->next = entry->next;
  } else {
    head = entry->next;
  }
  if (entry->next != nullptr) entry->next->prev = entry->prev;
  if (head == nullptr) {
    used_[entry->slot / kSlots] &= ~(std::uint64_t{1} << (entry->slot % kSlots));
  }
  entry->slot = kUnlinked;
}

TimerWheel::Tick TimerWheel::next() const {
  Tick earliest = kNever;
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (used_[level] == 0) continue;
    const Tick current = now_ >> (6 * level);
    const std::uint64_t ahead = std::rotr(used_[level], static_cast<int>(current % kSlots));
    // On the coarse levels the current slot has been spread already: an entry there is a full turn
    // away, behind all others.
    const std::uint64_t nearer = level > 0 ? ahead & ~std::uint64_t{1} : ahead;
    const Tick turns = nearer != 0 ? static_cast<Tick>(std::countr_zero(nearer)) : kSlots;
    earliest = std::min(earliest, (current + turns) << (6 * level));
  }
  return earliest;
}

void TimerWheel::advance(Tick now) {
  for (Tick at = next(); at <= now; at = next()) {
    now_ = at;
    for (std::size_t level = kLevels - 1; level > 0; --level) {
      if ((at & ((Tick{1} << (6 * level)) - 1)) != 0) continue;
      Entry*& head = slots_[level * kSlots + ((at >> (6 * level)) & (kSlots - 1))];
      // An entry a full turn away goes back to this very slot, so take the chain off first.
      Entry* chain = nullptr;
      while (head != nullptr) {
        Entry* const entry = head;
        unlink(entry);
        entry->next = chain;
        chain = entry;
      }
      while (chain != nullptr) {
        Entry* const entry = chain;
        chain = entry->next;
        link(entry);
      }
    }
    Entry*& head = slots_[at & (kSlots - 1)];
    while (head != nullptr) {
      Entry* const entry = head;
      unlink(entry);
      // Moved out: the callback may drop its own entry.
      const auto expired = std::move(entry->expired);
      expired();
    }
  }
  now_ = std::max(now_, now);
}

}  // namespace asahi::net
