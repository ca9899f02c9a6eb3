#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace asahi::telemetry {

/// The parts of one piece of work with their times, in a fixed array: to begin or to end one costs
/// a clock read and a store. What a part is called is its owner's matter. One thread at a time.
class SpanList {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Index = std::uint8_t;
  static constexpr Index kMost = 32;
  static constexpr Index kNone = 255;  ///< there was no room: everything takes it and does nothing
  static constexpr Index kRoot = 0;

  struct Span {
    std::int64_t begin_ns, end_ns;  ///< since the root's begin; end -1: not ended
    std::uint8_t what, mark;
    Index parent;
  };

  /// The root, span 0, begins at `start`.
  SpanList(Time start, std::uint8_t what) : start_(start) { spans_[0] = {0, -1, what, 0, kNone}; }

  Index begin(std::uint8_t what, Index parent, Time now) {
    if (count_ == kMost) return kNone;
    spans_[count_] = {since(now), -1, what, 0, parent < count_ ? parent : kRoot};
    return count_++;
  }
  void end(Index index, Time now) {
    if (index < count_ && spans_[index].end_ns < 0) spans_[index].end_ns = since(now);
  }
  /// How it went, in the owner's words; 0: nothing to say.
  void mark(Index index, std::uint8_t mark) {
    if (index < count_) spans_[index].mark = mark;
  }
  /// Ends what has not ended, the root too.
  void end_all(Time now) {
    for (Index i = 0; i < count_; ++i) end(i, now);
  }

  Index size() const { return count_; }
  const Span& operator[](Index index) const { return spans_[index]; }
  Time start() const { return start_; }

 private:
  std::int64_t since(Time now) const {
    const std::int64_t ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now - start_).count();
    return ns > 0 ? ns : 0;
  }

  Time start_;
  Index count_ = 1;
  std::array<Span, kMost> spans_;  // those before count_ are set
};

}  // namespace asahi::telemetry
