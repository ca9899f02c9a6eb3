#include "memory/fitness/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "memory/ingest/times.h"

namespace asahi::memory::fitness {
namespace {

constexpr std::size_t kMostPart = 50, kMostSelector = 200, kMostDepth = 24;

bool is_plain(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

const json::string* text_of(const json::object& row, std::string_view name) {
  const json::value* value = row.if_contains(name);
  return value == nullptr ? nullptr : value->if_string();
}

std::optional<bool> failure_of(const json::object& row) {
  if (const json::string* outcome = text_of(row, "outcome")) {
    if (*outcome == "success") return false;
    if (*outcome == "failure") return true;
    return std::nullopt;
  }
  const json::value* success = row.if_contains("success");
  if (success == nullptr || !success->is_bool()) return std::nullopt;
  return !success->get_bool();
}

/// Whether the row is about other work than was asked for.
bool is_other(const json::object& row, std::string_view task_class, Clock::Time from) {
  const json::string* named = text_of(row, "task_class");
  if (named != nullptr && std::string_view(*named) != task_class) return true;
  const json::string* started = text_of(row, "started_at");
  if (started == nullptr) return false;
  const auto time = parse_iso_time(*started);
  return time && *time < from;
}

std::optional<Sample> sample_of(const json::object& row) {
  const json::string* selector = text_of(row, "selector");
  const json::value* latency = row.if_contains("latency_ms");
  const auto failed = failure_of(row);
  if (selector == nullptr || selector->empty() || selector->size() > kMostSelector || !failed ||
      latency == nullptr || !latency->is_number())
    return std::nullopt;
  const auto latency_ms = latency->to_number<double>();
  if (!std::isfinite(latency_ms) || latency_ms < 0) return std::nullopt;
  const json::string* id = text_of(row, "trace_id");
  return Sample{.trace_id = id == nullptr ? std::string() : std::string(*id),
                .selector = std::string(*selector),
                .failed = *failed,
                .latency_ms = latency_ms};
}

const json::array* list_of(const json::value& value) {
  if (const json::array* list = value.if_array()) return list;
  const json::object* object = value.if_object();
  const json::value* traces = object == nullptr ? nullptr : object->if_contains("traces");
  return traces == nullptr ? nullptr : traces->if_array();
}

std::string_view first_text(const json::object& reply) {
  const json::value* content = reply.if_contains("content");
  if (content == nullptr || !content->is_array()) return {};
  for (const json::value& part : content->get_array()) {
    const json::object* object = part.if_object();
    const json::string* text = object == nullptr ? nullptr : text_of(*object, "text");
    if (text != nullptr) return *text;
  }
  return {};
}

}  // namespace

std::string Figure::path() const {
  return fmt::format("routing_fitness/{}/{}", task_class, selector);
}

std::string path_part(std::string_view name) {
  std::string out(name.substr(0, kMostPart));
  std::ranges::replace_if(out, [](unsigned char c) { return !is_plain(c); }, '_');
  return out;
}

Result<Samples> samples_of(const json::object& reply, std::string_view task_class, Clock::Time from,
                           std::size_t most) {
  const json::value* structured = reply.if_contains("structuredContent");
  const json::array* rows = structured == nullptr ? nullptr : list_of(*structured);
  Result<json::value> written = json::value();
  if (rows == nullptr) {
    written = parse_json(first_text(reply), kMostDepth);
    if (written) rows = list_of(*written);
  }
  if (rows == nullptr)
    return fail(Errc::kUpstream, "its answer holds no list of traces; expected {\"traces\": […]}");
  Samples out;
  for (std::size_t i = 0; i < std::min(rows->size(), most); ++i) {
    const json::object* row = (*rows)[i].if_object();
    if (row != nullptr && is_other(*row, task_class, from)) continue;
    auto sample = row == nullptr ? std::nullopt : sample_of(*row);
    if (sample) {
      out.good.push_back(std::move(*sample));
    } else {
      ++out.malformed;
    }
  }
  return out;
}

void Figures::add(std::string_view component, std::string_view task_class, const Samples& samples) {
  std::set<std::string_view> seen;
  for (const Sample& sample : samples.good) {
    if (!sample.trace_id.empty() && !seen.insert(sample.trace_id).second) continue;
    Sum& sum = sums_[{path_part(task_class), path_part(sample.selector)}];
    sum.failed += sample.failed ? 1 : 0;
    sum.latencies.push_back(sample.latency_ms);
    sum.components.emplace(component);
    ++samples_;
  }
}

std::vector<Figure> Figures::figures() const {
  std::vector<Figure> out;
  for (const auto& [name, sum] : sums_) {
    std::vector<double> latencies = sum.latencies;
    const std::size_t all = latencies.size();
    // Nearest rank: the least value that 99 of 100 do not exceed.
    const std::size_t rank = (all * 99 + 99) / 100 - 1;
    std::ranges::nth_element(latencies, latencies.begin() + static_cast<std::ptrdiff_t>(rank));
    out.push_back({.task_class = name.first,
                   .selector = name.second,
                   .failure_rate = static_cast<double>(sum.failed) / static_cast<double>(all),
                   .p99_latency_ms = latencies[rank],
                   .samples = all,
                   .components = sum.components.size()});
  }
  return out;
}

json::object to_json(const Figure& figure) {
  return {{"path", figure.path()},
          {"task_class", figure.task_class},
          {"selector", figure.selector},
          {"score", figure.score()},
          {"failure_rate", figure.failure_rate},
          {"p99_latency_ms", figure.p99_latency_ms},
          {"samples", figure.samples},
          {"component_count", figure.components}};
}

}  // namespace asahi::memory::fitness
