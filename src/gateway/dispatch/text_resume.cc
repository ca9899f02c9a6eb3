#include "gateway/dispatch/text_resume.h"

#include <algorithm>

namespace asahi::gateway {

std::string TextResume::feed(std::string_view piece) {
  if (!deciding_) return std::string(piece);
  held_ += piece;
  const std::string_view sent = sent_;
  if (held_.size() <= sent.size() && sent.starts_with(held_)) return {};
  if (held_.starts_with(sent)) {
    deciding_ = false;
    return held_.substr(sent.size());
  }
  // Not a repetition from the start. An overlap with the end may still be growing.
  const std::string_view held = held_;
  const std::size_t longest = std::min(sent.size(), held.size());
  if (longest == held.size() && held.size() < kMinOverlap && sent.ends_with(held)) return {};
  return settle();
}

std::string TextResume::settle() {
  deciding_ = false;
  const std::string_view sent = sent_;
  const std::string_view held = held_;
  for (std::size_t overlap = std::min(sent.size(), held.size()); overlap >= kMinOverlap; --overlap) {
    if (sent.ends_with(held.substr(0, overlap))) return held_.substr(overlap);
  }
  return held_;
}

std::string TextResume::finish() {
  if (!deciding_) return {};
  deciding_ = false;
  // All of it stood in what was sent already, from its start.
  return std::string_view(sent_).starts_with(held_) ? std::string() : held_;
}

}  // namespace asahi::gateway
