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
  // Not a repetition from the start. While it repeats a place near the end, it may yet reach that
  // end.
  const std::string_view tail = sent.substr(sent.size() - std::min(sent.size(), kMaxStepBack));
  if (tail.find(held_) != std::string_view::npos) return {};
  return settle();
}

std::string TextResume::settle() {
  deciding_ = false;
  const std::string_view sent = sent_;
  const std::string_view held = held_;
  for (std::size_t overlap = std::min(sent.size(), held.size()); overlap >= kMinOverlap;
       --overlap) {
    if (sent.ends_with(held.substr(0, overlap))) return held_.substr(overlap);
  }
  return held_;
}

std::string TextResume::finish() {
  if (!deciding_) return {};
  // All of it stood in what was sent already, from its start.
  if (std::string_view(sent_).starts_with(held_)) return {};
  return settle();
}

}  // namespace asahi::gateway
