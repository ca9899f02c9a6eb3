#include "telemetry/export/influx_lines.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string_view>

namespace asahi::telemetry {
namespace {

/// Puts a backslash before each of `special`. A line break would end the line, and a backslash at
/// the end would hide what follows: neither can be written.
void append_escaped(std::string& out, std::string_view text, std::string_view special) {
  while (text.ends_with('\\')) text.remove_suffix(1);
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      out += special.contains(' ') ? "\\ " : " ";
      continue;
    }
    if (special.contains(c)) out += '\\';
    out += c;
  }
}

void append_tags(std::string& out, const Labels& labels) {
  for (const auto& [name, value] : labels) {
    if (value.find_first_not_of('\\') == std::string::npos) continue;
    out += ',';
    append_escaped(out, name, ",= ");
    out += '=';
    append_escaped(out, value, ",= ");
  }
}

/// The fields of one line; a comma stands between two.
class Fields {
 public:
  explicit Fields(std::string& out) : out_(out) {}
  void add(std::string_view name, double value) {
    if (!std::isfinite(value)) return;
    if (any_) out_ += ',';
    any_ = true;
    fmt::format_to(std::back_inserter(out_), "{}={}", name, value);
  }
  bool any() const { return any_; }

 private:
  std::string& out_;
  bool any_ = false;
};

bool append_fields(std::string& out, const FamilySnapshot& family, const Sample& sample) {
  Fields fields(out);
  switch (family.type) {
    case MetricType::kCounter:
      fields.add("counter", sample.value);
      break;
    case MetricType::kGauge:
      fields.add("gauge", sample.value);
      break;
    case MetricType::kHistogram:
      fields.add("count", static_cast<double>(sample.count()));
      fields.add("sum", sample.value);
      for (std::size_t i = 0; i < sample.buckets.size(); ++i) {
        fields.add(i < family.bounds.size() ? fmt::format("{}", family.bounds[i]) : "+Inf",
                   static_cast<double>(sample.buckets[i]));
      }
      break;
  }
  return fields.any();
}

}  // namespace

std::vector<std::string> influx_lines(std::span<const FamilySnapshot> families, const Labels& more,
                                      Clock::Time now, std::size_t max_lines) {
  const auto at = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  const std::string end = fmt::format(" {}\n", at.count());
  std::vector<std::string> bodies;
  std::size_t lines = max_lines;
  for (const FamilySnapshot& family : families) {
    for (const Sample& sample : family.samples) {
      if (lines == max_lines) {
        bodies.emplace_back();
        lines = 0;
      }
      std::string& body = bodies.back();
      const std::size_t begin = body.size();
      append_escaped(body, family.name, ", ");
      append_tags(body, sample.labels);
      append_tags(body, more);
      body += ' ';
      if (!append_fields(body, family, sample)) {
        body.resize(begin);
        continue;
      }
      body += end;
      ++lines;
    }
  }
  if (!bodies.empty() && bodies.back().empty()) bodies.pop_back();
  return bodies;
}

}  // namespace asahi::telemetry
