#include "gateway/cache/semantic/threshold.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "base/json.h"

namespace asahi::gateway::semantic {
namespace {

// Bands of equal width in log odds, so that 0.95, 0.98 and 0.99 stand apart.
constexpr double kFirstBand = -2.0;
constexpr double kBandWidth = 0.5;
// Observations older than about that many of a band fade: enough for δ = 0.5 %, and few enough that
// a bad day is forgotten.
constexpr double kMemory = 5'000;
// Deviations of the estimate that are kept free: about 90 % of streams.
constexpr double kDeviations = 1.3;
// How much closer than `audit` a cache looks before it knows anything.
constexpr double kYoung = 3;
// How many observations of its own outweigh what holds for its kind.
constexpr double kPriorStrength = 60;

std::size_t band_of(double score) {
  const double s = std::clamp(score, 1e-4, 1 - 1e-4);
  const double odds = std::log(s / (1 - s));
  const double band = (odds - kFirstBand) / kBandWidth;
  return static_cast<std::size_t>(
      std::clamp(band, 0.0, static_cast<double>(KindEvidence::kBands - 1)));
}

// The normal quantile of the usual confidences, by Hastings' formula (Abramowitz and Stegun
// 26.2.23, error below 4.5e-4).
double normal_quantile(double confidence) {
  const double tail = std::clamp(1 - confidence, 1e-9, 0.5);
  const double t = std::sqrt(-2 * std::log(tail));
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) /
                 (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
}

std::uint16_t pack(double score, bool correct) {
  const auto scaled = static_cast<std::uint16_t>(std::clamp(score, 0.0, 1.0) * 32767.0);
  return static_cast<std::uint16_t>(scaled << 1 | (correct ? 1 : 0));
}

}  // namespace

double upper_error(double wrong, double total, double confidence) {
  if (total <= 0) return 1;
  const double k = wrong + 1;
  const double cube = 1 - 1 / (9 * k) + normal_quantile(confidence) / (3 * std::sqrt(k));
  return std::min(1.0, k * cube * cube * cube / total);
}

void EntryEvidence::add(double score, bool correct) {
  seen_[next_].score_and_truth = pack(score, correct);
  next_ = static_cast<std::uint8_t>((next_ + 1) % kKept);
  count_ = static_cast<std::uint8_t>(std::min<std::size_t>(count_ + 1, kKept));
}

void EntryEvidence::report(double score) {
  add(score, false);
  floor_ = std::max(floor_, static_cast<std::uint16_t>(std::clamp(score, 0.0, 1.0) * 32767.0));
  if (reports_ < 255) ++reports_;
}

void EntryEvidence::merge(const EntryEvidence& other) {
  const auto oldest_first = [](const EntryEvidence& evidence) {
    std::vector<Seen> seen;
    for (std::size_t i = 0; i < evidence.count_; ++i)
      seen.push_back(evidence.seen_[(evidence.next_ + kKept - evidence.count_ + i) % kKept]);
    return seen;
  };
  const std::vector<Seen> own = oldest_first(*this);
  std::vector<Seen> all, rest = own;
  for (const Seen one : oldest_first(other)) {
    const auto same = std::ranges::find(rest, one.score_and_truth, &Seen::score_and_truth);
    if (same == rest.end()) {
      all.push_back(one);
    } else {
      rest.erase(same);
    }
  }
  all.insert(all.end(), own.begin(), own.end());
  while (all.size() > kKept) {
    const auto right = std::ranges::find_if(all, &Seen::correct);
    all.erase(right == all.end() ? all.begin() : right);
  }
  std::ranges::copy(all, seen_.begin());
  count_ = static_cast<std::uint8_t>(all.size());
  next_ = static_cast<std::uint8_t>(all.size() % kKept);
  reports_ = std::max(reports_, other.reports_);
  floor_ = std::max(floor_, other.floor_);
}

std::size_t EntryEvidence::wrong() const {
  return static_cast<std::size_t>(
      std::count_if(seen_.begin(), seen_.begin() + count_, [](Seen s) { return !s.correct(); }));
}

double EntryEvidence::error(double score, double prior) const {
  if (disabled()) return 1;
  // A report is a fact, not a sample: a score that is not clearly better stays shut.
  constexpr double kClearlyBetter = 0.02;
  if (reports_ > 0 && score < floor_ / 32767.0 + kClearlyBetter) return 1;
  if (wrong() == 0) {
    // Correct answers at scores no better than this one speak for it.
    double support = 0;
    for (std::size_t i = 0; i < count_; ++i) support += seen_[i].score() <= score + 1e-4 ? 1 : 0;
    return prior * kPriorStrength / (kPriorStrength + support);
  }
  // The curve P(correct) = σ(γ(s − t)): each t and γ weighs as much as it explains what was seen.
  double mass = 0, error = 0;
  for (const double gamma : {15.0, 40.0, 100.0}) {
    for (int step = 0; step <= 16; ++step) {
      const double t = 0.3 + step * 0.05;
      double weight = 1;
      for (std::size_t i = 0; i < count_; ++i) {
        const double x = gamma * (seen_[i].score() - t);
        weight /= 1 + std::exp(seen_[i].correct() ? -x : x);
      }
      mass += weight;
      error += weight / (1 + std::exp(gamma * (score - t)));
    }
  }
  const double own = mass > 0 ? error / mass : 1;
  return std::max(own, prior);
}

std::string EntryEvidence::encode() const {
  std::string out = fmt::format("1 {} {}", reports_, floor_);
  // Oldest first.
  for (std::size_t i = 0; i < count_; ++i) {
    const std::size_t at = (next_ + kKept - count_ + i) % kKept;
    fmt::format_to(std::back_inserter(out), " {}", seen_[at].score_and_truth);
  }
  return out;
}

Result<EntryEvidence> EntryEvidence::decode(std::string_view text) {
  std::istringstream in{std::string(text)};
  EntryEvidence out;
  unsigned version = 0, reports = 0, floor = 0, value = 0;
  if (!(in >> version >> reports >> floor) || version != 1 || reports > 255 || floor > 32'767)
    return fail(Errc::kCorrupt, "what was learned about a cache entry cannot be read");
  out.reports_ = static_cast<std::uint8_t>(reports);
  out.floor_ = static_cast<std::uint16_t>(floor);
  while (in >> value) {
    if (value > 65'535 || out.count_ == kKept)
      return fail(Errc::kCorrupt, "what was learned about a cache entry cannot be read");
    out.seen_[out.next_].score_and_truth = static_cast<std::uint16_t>(value);
    out.next_ = static_cast<std::uint8_t>((out.next_ + 1) % kKept);
    ++out.count_;
  }
  return out;
}

KindEvidence::KindEvidence() {
  // Belief before anything was seen, by band of log odds from -2 in steps of 0.5; bench_savings
  // prints what our own generated pairs say to it. Summed up from below: 120 (δ = 3 %) from 4 on,
  // 260 (1 %) from 4.5, 480 (0.5 %) from 5.
  constexpr std::array<double, kBands> kBelief = {0, 0, 0,  0,  0,  0,   0,   0,
                                                  0, 0, 10, 30, 80, 140, 220, 220};
  for (std::size_t i = 0; i < kBands; ++i) bands_[i].correct = kBelief[i];
}

void KindEvidence::add(double score, bool correct) {
  Band& band = bands_[band_of(score)];
  (correct ? band.correct : band.wrong) += 1;
  observed_ += 1;
  const double total = band.correct + band.wrong;
  if (total > kMemory) {
    band.correct *= kMemory / total;
    band.wrong *= kMemory / total;
  }
}

double KindEvidence::error(double score, const Bound& bound) const {
  double best = 1, correct = 0, wrong = 0;
  for (std::size_t band = band_of(score) + 1; band-- > 0;) {
    correct += bands_[band].correct;
    wrong += bands_[band].wrong;
    best = std::min(best, upper_error(wrong, correct + wrong, bound.confidence));
  }
  return best;
}

std::string KindEvidence::encode() const {
  std::string out = fmt::format("1 {}", observed_);
  for (const Band& band : bands_)
    fmt::format_to(std::back_inserter(out), " {} {}", band.correct, band.wrong);
  return out;
}

Result<KindEvidence> KindEvidence::decode(std::string_view text) {
  std::istringstream in{std::string(text)};
  KindEvidence out;
  unsigned version = 0;
  bool fine = static_cast<bool>(in >> version >> out.observed_) && version == 1;
  for (Band& band : out.bands_) {
    fine = fine && static_cast<bool>(in >> band.correct >> band.wrong) && band.correct >= 0 &&
           band.wrong >= 0 && std::isfinite(band.correct) && std::isfinite(band.wrong);
  }
  if (!fine) return fail(Errc::kCorrupt, "what was learned about cached answers cannot be read");
  return out;
}

void KindEvidence::add(const KindEvidence& now, const KindEvidence& before) {
  for (std::size_t i = 0; i < kBands; ++i) {
    bands_[i].correct =
        std::max(0.0, bands_[i].correct + now.bands_[i].correct - before.bands_[i].correct);
    bands_[i].wrong = std::max(0.0, bands_[i].wrong + now.bands_[i].wrong - before.bands_[i].wrong);
  }
  observed_ = std::max(0.0, observed_ + now.observed_ - before.observed_);
}

void RiskBudget::found_wrong(double share) {
  const double p = std::clamp(share, 1e-3, 1.0);
  wrong_ += (1 - p) / p;
  spread_ += (1 - p) / (p * p);
}

double RiskBudget::audit(const Bound& bound) const {
  const double least = std::clamp(bound.audit, 0.0, 1.0);
  const double allowed = bound.delta * static_cast<double>(asked_);
  // Reports alone: there is nothing to estimate.
  if (least == 0) return wrong_ == 0 || wrong_ <= allowed ? 0 : 1;
  // A find at a share p adds less than 1/p: that much has to be free.
  if (wrong_ <= 0)
    return std::clamp(1 / std::max(allowed, 1e-9), least, std::min(1.0, kYoung * least));
  const double free = allowed - wrong_ - kDeviations * std::sqrt(spread_);
  return free <= 1 ? 1 : std::max(least, 1 / free);
}

void RiskBudget::add(const RiskBudget& now, const RiskBudget& before) {
  asked_ += now.asked_ - std::min(now.asked_, before.asked_);
  wrong_ = std::max(0.0, wrong_ + now.wrong_ - before.wrong_);
  spread_ = std::max(0.0, spread_ + now.spread_ - before.spread_);
}

const KindEvidence& Evidence::State::kind(std::string_view task) const {
  const auto known = kinds.find(task);
  return known == kinds.end() ? unknown : known->second;
}

KindEvidence& Evidence::State::own_kind(std::string_view task) {
  auto known = kinds.find(task);
  if (known == kinds.end() && kinds.size() < kMaxKinds)
    known = kinds.emplace(std::string(task), KindEvidence()).first;
  return known == kinds.end() ? unknown : known->second;
}

void Evidence::State::add(const State& now, const State& before) {
  const KindEvidence nothing;
  for (const auto& [task, kind] : now.kinds) {
    const auto known = before.kinds.find(task);
    own_kind(task).add(kind, known == before.kinds.end() ? nothing : known->second);
  }
  unknown.add(now.unknown, before.unknown);
  budget.add(now.budget, before.budget);
}

Evidence::Trust Evidence::trust(std::string_view task, double score, const EntryEvidence& entry,
                                const Bound& bound) const {
  const std::scoped_lock lock(mutex_);
  return {entry.error(score, state_.kind(task).error(score, bound)), state_.budget.audit(bound)};
}

void Evidence::asked() {
  const std::scoped_lock lock(mutex_);
  state_.budget.asked();
}

void Evidence::observe(std::string_view task, double score, bool correct, double audit) {
  const std::scoped_lock lock(mutex_);
  state_.own_kind(task).add(score, correct);
  if (audit > 0 && !correct) state_.budget.found_wrong(audit);
}

void Evidence::report(std::string_view task, double score) {
  const std::scoped_lock lock(mutex_);
  state_.own_kind(task).add(score, false);
  state_.budget.reported();
}

std::uint64_t Evidence::questions() const {
  const std::scoped_lock lock(mutex_);
  return state_.budget.questions();
}

double Evidence::estimated_wrong() const {
  const std::scoped_lock lock(mutex_);
  return state_.budget.estimated_wrong();
}

double Evidence::audit(const Bound& bound) const {
  const std::scoped_lock lock(mutex_);
  return state_.budget.audit(bound);
}

std::string Evidence::encode() const {
  const std::scoped_lock lock(mutex_);
  return state_.encode();
}

Result<void> Evidence::restore(std::string_view text) {
  ASAHI_TRY(State read, State::decode(text));
  const std::scoped_lock lock(mutex_);
  state_ = read;
  stored_ = std::move(read);
  return {};
}

Result<Evidence::Merged> Evidence::merge(std::string_view stored) const {
  Merged merged;
  if (!stored.empty()) {
    ASAHI_TRY(merged.sum, State::decode(stored));
  }
  State before;
  {
    const std::scoped_lock lock(mutex_);
    merged.seen = state_;
    before = stored_;
  }
  merged.sum.add(merged.seen, before);
  merged.text = merged.sum.encode();
  return merged;
}

void Evidence::adopt(const Merged& merged) {
  const std::scoped_lock lock(mutex_);
  State now = merged.sum;
  now.add(state_, merged.seen);
  state_ = std::move(now);
  stored_ = merged.sum;
}

std::string Evidence::State::encode() const {
  json::object tasks;
  for (const auto& [task, kind] : kinds) tasks[task] = kind.encode();
  json::object out;
  out["version"] = 1;
  out["asked"] = budget.questions();
  out["wrong"] = budget.estimated_wrong();
  out["spread"] = budget.spread();
  out["kinds"] = std::move(tasks);
  return json::serialize(out);
}

Result<Evidence::State> Evidence::State::decode(std::string_view text) {
  const auto corrupt = [] {
    return fail(Errc::kCorrupt, "what was learned about cached answers cannot be read");
  };
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  const json::object* root = error ? nullptr : parsed.if_object();
  if (root == nullptr) return corrupt();
  std::array<double, 3> numbers{};
  constexpr std::array<std::string_view, 3> kNames = {"asked", "wrong", "spread"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const json::value* number = root->if_contains(kNames[i]);
    if (number == nullptr || !number->is_number()) return corrupt();
    numbers[i] = number->to_number<double>();
    if (!(numbers[i] >= 0 && numbers[i] < 1e18)) return corrupt();
  }
  const json::value* tasks = root->if_contains("kinds");
  if (tasks == nullptr || !tasks->is_object()) return corrupt();
  State read;
  for (const auto& [task, value] : tasks->get_object()) {
    if (!value.is_string() || read.kinds.size() == kMaxKinds) return corrupt();
    ASAHI_TRY(auto kind, KindEvidence::decode(std::string_view(value.get_string())));
    read.kinds.emplace(std::string(task), std::move(kind));
  }
  read.budget.restore(static_cast<std::uint64_t>(numbers[0]), numbers[1], numbers[2]);
  return read;
}

}  // namespace asahi::gateway::semantic
