#include "telemetry/export/remote_write.h"

#include <fmt/format.h>
#include <snappy-c.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/dynamic_library.h"

namespace asahi::telemetry {
namespace {

constinit DynamicLibrary libsnappy{"libsnappy.so.1", "Prometheus remote write", "libsnappy1v5",
                                   "snappy_compress"};
ASAHI_DYNAMIC_FUNCTION(libsnappy, snappy_compress);
ASAHI_DYNAMIC_FUNCTION(libsnappy, snappy_max_compressed_length);

// The wire types of protocol buffers.
constexpr std::uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2;

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

void append_key(std::string& out, std::uint32_t field, std::uint32_t type) {
  append_varint(out, field << 3 | type);
}

void append_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_integer(std::string& out, std::uint32_t field, std::uint64_t value) {
  append_key(out, field, kVarint);
  append_varint(out, value);
}

void append_double(std::string& out, std::uint32_t field, double value) {
  append_key(out, field, kFixed64);
  auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i, bits >>= 8) out += static_cast<char>(bits & 0xff);
}

/// Cuts what is written into requests.
class Requests {
 public:
  Requests(const Labels& more, Clock::Time now, std::size_t max_series)
      : more_(more),
        at_(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count()),
        max_series_(max_series) {}

  /// The families' types go into the request of their first series.
  void describe(const FamilySnapshot& family) {
    begin();
    std::string metadata;
    append_integer(metadata, 1, static_cast<std::uint64_t>(family.type) + 1);
    append_bytes(metadata, 2, family.name);
    append_bytes(metadata, 4, family.help);
    append_bytes(all_.back(), 3, metadata);
  }

  void add(std::string name, const Labels& labels, double value, std::string_view le = {}) {
    begin();
    Labels full = labels;
    for (const auto& label : more_) {
      if (std::ranges::find(labels, label.first, &Labels::value_type::first) == labels.end())
        full.push_back(label);
    }
    full.emplace_back("__name__", std::move(name));
    if (!le.empty()) full.emplace_back("le", le);
    std::ranges::sort(full);
    std::string series;
    for (const auto& [key, text] : full) {
      if (text.empty()) continue;  // an empty label is none
      std::string label;
      append_bytes(label, 1, key);
      append_bytes(label, 2, text);
      append_bytes(series, 1, label);
    }
    std::string sample;
    append_double(sample, 1, value);
    append_integer(sample, 2, static_cast<std::uint64_t>(at_));
    append_bytes(series, 2, sample);
    append_bytes(all_.back(), 1, series);
    ++series_;
  }

  std::vector<std::string> take() && { return std::move(all_); }

 private:
  void begin() {
    if (!all_.empty() && series_ < max_series_) return;
    all_.emplace_back();
    series_ = 0;
  }

  const Labels& more_;
  const std::int64_t at_;
  const std::size_t max_series_;
  std::vector<std::string> all_;
  std::size_t series_ = 0;
};

void add_histogram(Requests& out, const FamilySnapshot& family, const Sample& sample) {
  for (std::size_t i = 0; i < sample.buckets.size(); ++i) {
    out.add(family.name + "_bucket", sample.labels, static_cast<double>(sample.buckets[i]),
            i < family.bounds.size() ? fmt::format("{}", family.bounds[i]) : "+Inf");
  }
  out.add(family.name + "_sum", sample.labels, sample.value);
  out.add(family.name + "_count", sample.labels, static_cast<double>(sample.count()));
}

}  // namespace

std::vector<std::string> remote_write_requests(std::span<const FamilySnapshot> families,
                                               const Labels& more, Clock::Time now,
                                               std::size_t max_series) {
  Requests out(more, now, max_series);
  for (const FamilySnapshot& family : families) {
    if (family.samples.empty()) continue;
    out.describe(family);
    for (const Sample& sample : family.samples) {
      if (family.type == MetricType::kHistogram) {
        add_histogram(out, family, sample);
      } else {
        out.add(family.name, sample.labels, sample.value);
      }
    }
  }
  return std::move(out).take();
}

Result<void> load_snappy() { return libsnappy.load(); }

Result<std::string> snappy_block(std::string_view bytes) {
  if (auto loaded = load_snappy(); !loaded) return std::unexpected(std::move(loaded.error()));
  std::string out(snappy_max_compressed_length(bytes.size()), '\0');
  std::size_t size = out.size();
  if (snappy_compress(bytes.data(), bytes.size(), out.data(), &size) != SNAPPY_OK)
    return fail(Errc::kInternal, "libsnappy could not compress a remote write request");
  out.resize(size);
  return out;
}

}  // namespace asahi::telemetry
