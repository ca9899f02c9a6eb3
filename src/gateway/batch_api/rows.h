#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace asahi::gateway {

/// One request of a batch's input file.
struct BatchRow {
  std::int64_t line = 0;  ///< from 1 on
  std::string custom_id;
  std::string body;  ///< JSON object
};

/// What is wrong with a line, as OpenAI's batches tell it in `errors`.
struct RowFault {
  std::string code;     ///< "invalid_json_line", "duplicate_custom_id", …
  std::string message;  ///< the rule and how to mend it
  std::string param;    ///< the field; empty: the whole line
  std::int64_t line = 0;

  bool operator==(const RowFault&) const = default;
};

/// Reads an input file piece by piece: one JSON object per line with `custom_id`, `method`, `url`
/// and `body`. Empty lines are passed over. Pure.
class RowReader {
 public:
  struct Rules {
    std::string url;  ///< the batch's endpoint, which every row must name
    std::size_t most_rows = 50'000;
    std::size_t most_line_bytes = 2'097'152;
    /// Says what is wrong with a row's body.
    std::function<Result<void>(std::shared_ptr<const JsonDocument>)> check;
  };
  explicit RowReader(Rules rules) : rules_(std::move(rules)) {}

  /// Bytes of the file, cut anywhere.
  void feed(std::string_view bytes);
  /// The file has ended.
  void finish();
  /// The rows read since the last call; none once a fault was found.
  std::vector<BatchRow> take();
  std::int64_t rows() const { return count_; }
  /// At most kMostFaults of them.
  const std::vector<RowFault>& faults() const { return faults_; }
  static constexpr std::size_t kMostFaults = 100;

 private:
  void read(std::string_view line);
  void fault(std::string code, std::string param, std::string message);

  Rules rules_;
  std::string rest_;       ///< of a line that has not ended
  bool skipping_ = false;  ///< inside a line that is too long
  std::int64_t line_ = 0, count_ = 0;
  std::vector<BatchRow> rows_;
  std::vector<RowFault> faults_;
  std::unordered_set<std::string> ids_;
};

}  // namespace asahi::gateway
