#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace asahi::savings {

/// The rows as they are measured: measure, goal, what came out, met or not.
class Table {
 public:
  void head();
  /// `met` empty: for information, no goal.
  void row(std::string_view measure, std::string_view goal, const std::string& measured,
           std::optional<bool> met, json::object numbers = {});
  /// The same measure with another embedder.
  void beside(std::string_view embedder) { beside_ = embedder; }
  void skip(std::string_view measure, std::string_view why);
  /// How many goals were met, missed and skipped.
  void sum() const;
  json::value json() const { return rows_; }

 private:
  json::array rows_;
  std::string beside_;
  std::size_t met_ = 0, missed_ = 0, skipped_ = 0;
};

}  // namespace asahi::savings
