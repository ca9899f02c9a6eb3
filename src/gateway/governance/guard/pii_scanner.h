#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "gateway/governance/guard/pii.h"

namespace asahi::gateway {

/// Finds personal data in a text, from left to right. One pass: it jumps from digit to digit and
/// from '@' to '@', and looks at most a few dozen bytes around each.
class PiiScanner {
 public:
  struct Hit {
    std::size_t begin = 0, end = 0;  ///< bytes of the text
    PiiType type = PiiType::kCard;
  };
  explicit PiiScanner(std::string_view text) : text_(text) {}
  /// The next find; empty at the end of the text.
  std::optional<Hit> next();

 private:
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  char before(std::size_t i) const { return i > floor_ ? text_[i - 1] : '\0'; }
  bool is_chained(std::size_t begin) const;
  bool ends_clean(std::size_t end) const;
  bool in_email(std::size_t end) const;
  std::optional<std::size_t> domain_end(std::size_t begin) const;

  std::optional<Hit> number(std::size_t begin, std::size_t run_end);
  std::optional<std::size_t> card(std::size_t begin) const;
  std::optional<std::size_t> ssn(std::size_t begin, std::size_t run_end) const;
  std::optional<std::size_t> ipv4(std::size_t begin) const;
  std::optional<Hit> phone(std::size_t begin);
  std::optional<Hit> email(std::size_t at_sign) const;

  std::string_view text_;
  std::size_t at_ = 0;     ///< next byte to look at
  std::size_t floor_ = 0;  ///< end of the last find: nothing reaches back beyond it
};

}  // namespace asahi::gateway
