#include "savings/table.h"

#include <fmt/format.h>

namespace asahi::savings {

void Table::head() {
  fmt::print("| {:<54} | {:<36} | {:<66} | {:<3} |\n", "measure", "goal", "measured", "met");
  fmt::print("|{:-<56}|{:-<38}|{:-<68}|{:-<5}|\n", "", "", "", "");
}

void Table::row(std::string_view measure, std::string_view goal, const std::string& measured,
                std::optional<bool> met, json::object numbers) {
  const std::string name =
      beside_.empty() ? std::string(measure) : fmt::format("{}, by {}", measure, beside_);
  fmt::print("| {:<54} | {:<36} | {:<66} | {:<3} |\n", name, goal, measured,
             !met   ? ""
             : *met ? "yes"
                    : "NO");
  if (met) ++(*met ? met_ : missed_);
  json::object row;
  row["measure"] = name;
  row["goal"] = goal;
  row["measured"] = measured;
  if (met) row["met"] = *met;
  row["numbers"] = std::move(numbers);
  rows_.push_back(std::move(row));
}

void Table::skip(std::string_view measure, std::string_view why) {
  ++skipped_;
  fmt::print("| {:<54} | {:<36} | {:<66} | {:<3} |\n", measure, "", fmt::format("skipped: {}", why),
             "");
}

void Table::sum() const {
  fmt::print("\n{} goals met, {} missed, {} skipped\n", met_, missed_, skipped_);
}

}  // namespace asahi::savings
