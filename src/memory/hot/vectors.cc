#include "memory/hot/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/file.h"
#include "storage/vector/local/checked_file.h"
#include "storage/vector/local/simd.h"

namespace asahi::memory::hot {
namespace {

constexpr std::string_view kTenant = "hot";
constexpr std::size_t kBatch = 64;
/// Reading codes one behind another costs a fraction of walking the graph; below this share of the
/// rows a filter is cheaper to obey by comparing all that it leaves.
constexpr std::size_t kScanAlways = 20'000;
constexpr double kScanShare = 0.02;

std::size_t rounded_up(std::size_t dimensions) {
  return (dimensions + vector::simd::kLanes - 1) / vector::simd::kLanes * vector::simd::kLanes;
}

/// A query as 16-bit words, so large that no sum of products with bytes leaves 32 bits.
struct Words {
  std::vector<std::int16_t> words;
  float scale = 0;
};

Words to_words(std::span<const float> unit) {
  Words out;
  out.words.resize(rounded_up(unit.size()));
  const float range =
      std::min(16'383.0F, 2'147'483'647.0F / (128.0F * static_cast<float>(out.words.size() + 1)));
  float most = 0;
  for (const float number : unit) most = std::max(most, std::abs(number));
  out.scale = most / range;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    out.words[i] = static_cast<std::int16_t>(std::lround(unit[i] / most * range));
  }
  return out;
}

/// The best so far, worst on top.
class Best {
 public:
  Best(std::size_t most, std::vector<VectorSet::Candidate>& out) : most_(most), out_(out) {}
  void offer(float similarity, std::uint32_t slot) {
    if (out_.size() == most_) {
      if (similarity <= out_.front().similarity) return;
      std::ranges::pop_heap(out_, worse);
      out_.back() = {similarity, slot};
    } else {
      out_.push_back({similarity, slot});
    }
    std::ranges::push_heap(out_, worse);
  }
  void finish() { std::ranges::sort_heap(out_, worse); }

 private:
  static bool worse(const VectorSet::Candidate& a, const VectorSet::Candidate& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.slot < b.slot;
  }
  std::size_t most_;
  std::vector<VectorSet::Candidate>& out_;
};

/// Compares rows in batches, so that the query's words stay in registers.
class Comparison {
 public:
  Comparison(const Words& query, const vector::Blocks<std::int8_t>& codes,
             const vector::Blocks<float>& scales, Best& best)
      : query_(query), codes_(codes), scales_(scales), best_(best) {}
  ~Comparison() { flush(); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void add(std::uint32_t slot) {
    slots_[count_] = slot;
    rows_[count_++] = codes_.at(slot);
    if (count_ == kBatch) flush();
  }

 private:
  void flush() {
    std::array<std::int32_t, kBatch> products{};
    vector::simd::dot_rows(query_.words.data(), rows_.data(), count_, query_.words.size(),
                           products.data());
    for (std::size_t i = 0; i < count_; ++i) {
      best_.offer(static_cast<float>(products[i]) * query_.scale * scales_[slots_[i]], slots_[i]);
    }
    count_ = 0;
  }

  const Words& query_;
  const vector::Blocks<std::int8_t>& codes_;
  const vector::Blocks<float>& scales_;
  Best& best_;
  std::array<std::uint32_t, kBatch> slots_{};
  std::array<const std::int8_t*, kBatch> rows_{};
  std::size_t count_ = 0;
};

std::uint32_t slot_of(std::string_view id) {
  std::uint32_t slot = 0;
  std::from_chars(id.data(), id.data() + id.size(), slot);
  return slot;
}

}  // namespace

VectorSet::VectorSet(std::string model, std::size_t dimensions, VectorOptions options)
    : model_(std::move(model)),
      dimensions_(dimensions),
      options_(options),
      codes_(rounded_up(dimensions)) {}

vector::LocalOptions VectorSet::local_options(const std::string& model, std::size_t dimensions,
                                              const VectorOptions& options) {
  vector::LocalOptions out;
  out.space = {model.empty() ? "unnamed" : model, dimensions, {}};
  out.max_entries = SIZE_MAX;
  out.when_full = vector::WhenFull::kRefuse;
  // Real vectors lie in the log, and rank what the graph finds.
  out.precision = vector::Precision::kByte;
  out.search_effort = options.search_effort;
  out.build_effort = options.build_effort;
  out.file = options.scratch_file;
  return out;
}

VectorSet::Code VectorSet::encode(std::span<const float> vector) {
  // Adding 1.5 · 2^23 leaves the nearest whole number in a float's last bits: no call per number.
  constexpr float kWhole = 12'582'912.0F;
  Code out;
  float most = 0;
  for (const float number : vector) most = std::max(most, std::abs(number));
  if (!(most > 0) || !std::isfinite(most)) return out;
  const float factor = 127 / most;
  out.numbers.resize(vector.size());
  std::int64_t squares = 0;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    const auto number = static_cast<std::int32_t>(vector[i] * factor + kWhole - kWhole);
    out.numbers[i] = static_cast<std::int8_t>(number);
    squares += number * number;
  }
  out.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(squares)));
  return out;
}

bool VectorSet::put(std::uint32_t slot, const Code& code) {
  if (code.numbers.empty()) return false;
  codes_.reserve(std::size_t{slot} + 1);
  scales_.reserve(std::size_t{slot} + 1);
  std::ranges::copy(code.numbers, codes_.at(slot));
  scales_[slot] = code.scale;
  return true;
}

void VectorSet::list(std::uint32_t slot, std::uint64_t sequence) {
  if (listed_as_.size() <= slot) listed_as_.resize(std::size_t{slot} + 1);
  listed_ += listed_as_[slot] == 0 ? 1 : 0;
  listed_as_[slot] = sequence;
  unlinked_.push_back({slot, sequence});
}

void VectorSet::unlink(std::uint32_t slot, std::uint64_t sequence) {
  if (!is_listed({slot, sequence})) return;
  listed_as_[slot] = 0;
  --listed_;
  if (graph_ != nullptr) {
    leaving_.push_back({slot, sequence});
  } else if (unlinked_.size() > 2 * listed_ + kBatch) {
    std::erase_if(unlinked_, [&](const Unlinked& row) { return !is_listed(row); });
  }
}

void VectorSet::search(std::span<const float> unit, std::size_t wanted,
                       const std::vector<std::uint8_t>& visible, const std::uint8_t* allowed,
                       std::size_t allowed_count, std::vector<Candidate>& out) const {
  out.clear();
  const Words query = to_words(unit);
  Best best(wanted, out);
  const std::uint8_t* const may = allowed != nullptr ? allowed : visible.data();
  const auto scan_all = [&] {
    Comparison comparison(query, codes_, scales_, best);
    for (std::uint32_t slot = 0; slot < listed_as_.size(); ++slot) {
      if (listed_as_[slot] != 0 && may[slot] != 0) comparison.add(slot);
    }
  };
  const double share = allowed == nullptr
                           ? 1.0
                           : static_cast<double>(allowed_count) /
                                 static_cast<double>(std::max<std::size_t>(listed_, 1));
  if (graph_ == nullptr ||
      (allowed != nullptr && (allowed_count <= kScanAlways || share < kScanShare))) {
    scan_all();
    best.finish();
    return;
  }
  vector::Query question;
  question.vector.assign(unit.begin(), unit.end());
  question.with_metadata = false;
  const double reach = static_cast<double>(wanted) / share * (share < 1 ? 1.5 : 1);
  question.top_k = std::min(static_cast<std::size_t>(reach) + 1, vector::kMaxTopK);
  const auto hits =
      graph_->search(kTenant, question, std::max(options_.search_effort, question.top_k));
  if (!hits) {
    scan_all();
    best.finish();
    return;
  }
  for (const vector::Hit& hit : *hits) {
    const std::uint32_t slot = slot_of(hit.id);
    // It may have left, or its slot hold another row, that is compared by itself.
    if (slot >= listed_as_.size() || listed_as_[slot] == 0 || may[slot] == 0) continue;
    best.offer(hit.score, slot);
  }
  {
    Comparison comparison(query, codes_, scales_, best);
    for (const Unlinked& row : unlinked_) {
      if (is_listed(row) && may[row.slot] != 0) comparison.add(row.slot);
    }
  }
  if (allowed != nullptr && out.size() < std::min(wanted, allowed_count)) {
    // The graph's nearest were mostly others'.
    out.clear();
    scan_all();
  }
  best.finish();
}

VectorSet::Work VectorSet::next_work(std::size_t most) const {
  Work out;
  for (std::size_t i = 0; i < std::min(most, leaving_.size()); ++i) {
    out.leave.push_back(leaving_[i]);
  }
  for (std::size_t i = 0; i < std::min(most, unlinked_.size()); ++i) {
    const Unlinked& row = unlinked_[i];
    out.link.push_back(row);
    std::vector<float>& vector = out.vectors.emplace_back();
    if (!is_listed(row)) continue;
    const std::int8_t* const code = codes_.at(row.slot);
    vector.resize(dimensions_);
    for (std::size_t d = 0; d < dimensions_; ++d) {
      vector[d] = static_cast<float>(code[d]) * scales_[row.slot];
    }
  }
  return out;
}

void VectorSet::begin_graph() {
  graph_ = std::make_unique<vector::LocalIndex>(local_options(model_, dimensions_, options_));
  ++version_;
}

void VectorSet::link(const Work& work) {
  ++version_;
  for (const Unlinked& row : work.leave) {
    if (row.slot >= linked_.size() || linked_[row.slot] != row.sequence) continue;
    const std::string id = std::to_string(row.slot);
    graph_->remove(kTenant, {&id, 1});
    linked_[row.slot] = 0;
  }
  for (std::size_t i = 0; i < work.link.size(); ++i) {
    if (work.vectors[i].empty()) continue;
    const Unlinked& row = work.link[i];
    const vector::Item item{std::to_string(row.slot), work.vectors[i], {}};
    // What the graph refuses is still found: it stays in no list, but by filters; so it never is.
    if (!graph_->put(kTenant, {&item, 1})) continue;
    if (linked_.size() <= row.slot) linked_.resize(std::size_t{row.slot} + 1);
    linked_[row.slot] = row.sequence;
  }
}

void VectorSet::done(const Work& work) {
  leaving_.erase(leaving_.begin(),
                 leaving_.begin() + static_cast<std::ptrdiff_t>(work.leave.size()));
  unlinked_.erase(unlinked_.begin(),
                  unlinked_.begin() + static_cast<std::ptrdiff_t>(work.link.size()));
  for (const Unlinked& row : work.link) {
    // It left while it was being linked: its leave may be behind us.
    if (!is_listed(row)) leaving_.push_back(row);
  }
}

Result<void> VectorSet::save(const std::string& file) {
  if (auto ok = graph_->save_now(); !ok) return ok;
  return place_file(options_.scratch_file, file);
}

Result<VectorSet::Graph> VectorSet::read(const std::string& file, const std::string& model,
                                         std::size_t dimensions, const VectorOptions& options) {
  auto graph = std::make_unique<vector::LocalIndex>(local_options(model, dimensions, options));
  ASAHI_TRY(const auto mapped, vector::MappedFile::open(file));
  if (auto ok = graph->load_bytes(mapped.bytes()); !ok) return std::unexpected(ok.error());
  return graph;
}

bool VectorSet::adopt(Graph graph, std::vector<std::uint64_t> linked) {
  const auto known = std::ranges::count_if(linked, [](std::uint64_t row) { return row != 0; });
  if (graph->size() != static_cast<std::size_t>(known)) return false;
  graph_ = std::move(graph);
  linked_ = std::move(linked);
  std::erase_if(unlinked_, [&](const Unlinked& row) {
    return row.slot < linked_.size() && linked_[row.slot] == row.sequence;
  });
  for (std::uint32_t slot = 0; slot < linked_.size(); ++slot) {
    if (linked_[slot] != 0 && !is_listed({slot, linked_[slot]})) {
      leaving_.push_back({slot, linked_[slot]});
    }
  }
  return true;
}

std::size_t VectorSet::bytes() const {
  // linked_ is the linking thread's, and has a place for each slot at most.
  const std::size_t linked = graph_ == nullptr ? 0 : listed_as_.size() * sizeof(std::uint64_t);
  return listed_as_.size() * (rounded_up(dimensions_) + sizeof(float) + 8) + linked +
         unlinked_.size() * sizeof(Unlinked) + (graph_ == nullptr ? 0 : graph_->bytes());
}

}  // namespace asahi::memory::hot
