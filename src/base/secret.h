#pragma once

#include <string>
#include <utility>

namespace asahi {

/// A value that must never reach a log, an error or a metric: it prints as "***". Reading it is
/// spelled out.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  std::string value_;
};

inline std::string to_string(const Secret& secret) { return secret.empty() ? "" : "***"; }

}  // namespace asahi
