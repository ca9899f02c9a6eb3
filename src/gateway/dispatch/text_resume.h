#pragma once

#include <string>
#include <string_view>

namespace asahi::gateway {

/// Joins a restarted answer to the text a client already has, without repeating any of it. Pure.
///
/// A restarted vendor may begin anew (its text starts with what was sent: that part is swallowed),
/// go on where the first one stopped (passed as it is), or step back a little (the overlap of at
/// least `kMinOverlap` characters is swallowed). Until it is clear which, text is held back; it
/// never exceeds what was sent before.
class TextResume {
 public:
  static constexpr std::size_t kMinOverlap = 8;
  /// How far before the end of what was sent a step back is looked for, in bytes.
  static constexpr std::size_t kMaxStepBack = 512;

  explicit TextResume(std::string sent) : sent_(std::move(sent)), deciding_(!sent_.empty()) {}

  /// The part of `piece` (and of what was held) to send on now.
  std::string feed(std::string_view piece);
  /// What is still held when the stream ends: nothing, when it only repeated.
  std::string finish();

 private:
  std::string settle();

  std::string sent_;
  std::string held_;
  bool deciding_;
};

}  // namespace asahi::gateway
