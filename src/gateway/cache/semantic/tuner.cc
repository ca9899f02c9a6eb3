#include "gateway/cache/semantic/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/json.h"

namespace asahi::gateway::semantic {
namespace {

constexpr std::size_t kMaxTasks = 64;
constexpr std::string_view kDefault = "general";
constexpr std::array<std::string_view, 3> kNames = {"high", "medium", "low"};

struct TableRow {
  std::string_view task;
  std::array<double, 3> thresholds;
  double weight;
};
constexpr auto kTable = std::to_array<TableRow>({{"general", {0.75, 0.80, 0.90}, 1.5},
                                                 {"faq", {0.70, 0.80, 0.90}, 1.0},
                                                 {"summarization", {0.80, 0.85, 0.92}, 1.5},
                                                 {"reasoning", {0.85, 0.90, 0.95}, 2.5},
                                                 {"coding", {0.90, 0.93, 0.97}, 3.0},
                                                 {"translation", {0.75, 0.80, 0.90}, 1.5},
                                                 {"classification", {0.75, 0.80, 0.90}, 1.0},
                                                 {"creative", {0.75, 0.80, 0.90}, 2.0},
                                                 {"legal", {0.88, 0.92, 0.96}, 4.0}});

constexpr double kRaise = 0.01;
constexpr double kLower = 0.005;
constexpr double kFarthest = 0.05;
constexpr int kNearMisses = 50;

}  // namespace

std::optional<Sensitivity> parse_sensitivity(std::string_view text) {
  const auto* found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Sensitivity>(found - kNames.begin());
}

std::string_view to_string(Sensitivity sensitivity) {
  return kNames[static_cast<std::size_t>(sensitivity)];
}

double mismatch_weight(std::string_view task) {
  const auto* row = std::ranges::find(kTable, task, &TableRow::task);
  return row == kTable.end() ? kTable[0].weight : row->weight;
}

ThresholdTuner::ThresholdTuner() {
  for (const TableRow& row : kTable) {
    Row cells;
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i].set = row.thresholds[i];
    rows_.emplace(row.task, cells);
  }
}

const ThresholdTuner::Row& ThresholdTuner::row(std::string_view task) const {
  const auto found = rows_.find(task);
  return found != rows_.end() ? found->second : rows_.find(kDefault)->second;
}

ThresholdTuner::Row* ThresholdTuner::own_row(std::string_view task) {
  const auto found = rows_.find(task);
  if (found != rows_.end()) return &found->second;
  if (rows_.size() >= kMaxTasks) return nullptr;
  Row copy;
  const Row& base = rows_.find(kDefault)->second;
  for (std::size_t i = 0; i < copy.size(); ++i) copy[i].set = base[i].set;
  return &rows_.emplace(std::string(task), copy).first->second;
}

double ThresholdTuner::threshold(std::string_view task, Sensitivity sensitivity) const {
  const std::scoped_lock lock(mutex_);
  const Cell& cell = row(task)[static_cast<std::size_t>(sensitivity)];
  return std::clamp(cell.set + cell.shift, 0.0, 1.0);
}

Result<void> ThresholdTuner::set(std::string_view task, Sensitivity sensitivity, double threshold) {
  if (!(threshold >= 0 && threshold <= 1)) {
    return fail_field("threshold", fmt::format("a similarity threshold lies between 0 and 1, got "
                                               "{}",
                                               threshold));
  }
  const std::scoped_lock lock(mutex_);
  Row* row = own_row(task);
  if (row == nullptr) {
    return fail_field("task",
                      fmt::format("at most {} tasks have thresholds of their own", kMaxTasks));
  }
  (*row)[static_cast<std::size_t>(sensitivity)] = {threshold, 0, 0};
  return {};
}

void ThresholdTuner::reported_wrong(std::string_view task, Sensitivity sensitivity) {
  const std::scoped_lock lock(mutex_);
  if (Row* row = own_row(task)) {
    Cell& cell = (*row)[static_cast<std::size_t>(sensitivity)];
    cell.shift = std::min(kFarthest, cell.shift + kRaise);
    cell.near_misses = 0;
  }
}

void ThresholdTuner::clean_near_miss(std::string_view task, Sensitivity sensitivity) {
  const std::scoped_lock lock(mutex_);
  if (Row* row = own_row(task)) {
    Cell& cell = (*row)[static_cast<std::size_t>(sensitivity)];
    if (++cell.near_misses < kNearMisses) return;
    cell.near_misses = 0;
    cell.shift = std::max(-kFarthest, cell.shift - kLower);
  }
}

std::vector<std::string> ThresholdTuner::tasks() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [task, row] : rows_) names.push_back(task);
  return names;
}

std::string ThresholdTuner::encode() const {
  const std::scoped_lock lock(mutex_);
  json::object out;
  for (const auto& [task, row] : rows_) {
    json::object cells;
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells[kNames[i]] = json::array{row[i].set, row[i].shift};
    }
    out[task] = std::move(cells);
  }
  return json::serialize(out);
}

Result<void> ThresholdTuner::restore(std::string_view text) {
  const auto corrupt = [] {
    return fail(Errc::kCorrupt, "the stored similarity thresholds cannot be read");
  };
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_object()) return corrupt();
  std::map<std::string, Row, std::less<>> read;
  for (const auto& [task, cells] : parsed.get_object()) {
    if (!cells.is_object() || read.size() == kMaxTasks) return corrupt();
    Row row;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const json::value* cell = cells.get_object().if_contains(kNames[i]);
      const json::array* pair = cell == nullptr ? nullptr : cell->if_array();
      if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_number() ||
          !(*pair)[1].is_number())
        return corrupt();
      row[i].set = (*pair)[0].to_number<double>();
      row[i].shift = (*pair)[1].to_number<double>();
      if (!(row[i].set >= 0 && row[i].set <= 1) || !(std::abs(row[i].shift) <= kFarthest + 1e-9))
        return corrupt();
    }
    read.emplace(std::string(task), row);
  }
  if (!read.contains(kDefault)) return corrupt();
  const std::scoped_lock lock(mutex_);
  rows_ = std::move(read);
  return {};
}

TunedThreshold tune_threshold(std::span<const LabelledScore> pairs, double beta) {
  std::vector<LabelledScore> sorted(pairs.begin(), pairs.end());
  std::ranges::sort(sorted, std::greater{}, &LabelledScore::score);
  const auto total = static_cast<double>(std::ranges::count(sorted, true, &LabelledScore::same));
  TunedThreshold best;
  double right = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    right += sorted[i].same ? 1 : 0;
    // Equal scores fall on one side of any threshold.
    if (i + 1 < sorted.size() && sorted[i + 1].score == sorted[i].score) continue;
    const double precision = right / static_cast<double>(i + 1);
    const double recall = total > 0 ? right / total : 0;
    const double weight = beta * beta;
    const double f = precision + recall > 0
                         ? (1 + weight) * precision * recall / (weight * precision + recall)
                         : 0;
    if (f > best.f) best = {sorted[i].score, f, precision, recall};
  }
  return best;
}

}  // namespace asahi::gateway::semantic
