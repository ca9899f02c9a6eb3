#include "gateway/cache/semantic/threshold.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/json.h"

namespace asahi::gateway::semantic {
namespace {

// Bands of equal width in log odds, so that 0.95, 0.98 and 0.99 stand apart.
constexpr double kFirstBand = -2.0;
constexpr double kBandWidth = 0.5;
// Observations older than about that many fade.
constexpr double kMemory = 20'000;
// How many observations of its own outweigh what holds for its kind.
constexpr double kPriorStrength = 20;

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

double log_sigmoid(double x) {
  return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x));
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
  for (const double gamma : {12.0, 25.0, 50.0, 100.0}) {
    for (int step = 0; step <= 24; ++step) {
      const double t = 0.3 + step * 0.0325;
      double likelihood = 0;
      for (std::size_t i = 0; i < count_; ++i) {
        const double x = gamma * (seen_[i].score() - t);
        likelihood += log_sigmoid(seen_[i].correct() ? x : -x);
      }
      const double weight = std::exp(likelihood);
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
  // prints what our own generated pairs say to it. A band with 480 right ones is open from
  // δ = 0.5 % on, one with 240 from 1 %, one with 80 from 3 %.
  constexpr std::array<double, kBands> kBelief = {0,  0,  0,  0,   0,   0,   0,   10,
                                                  20, 40, 80, 120, 240, 480, 480, 480};
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

bool RiskBudget::allows(const Bound& bound) const {
  if (wrong_ <= 0) return true;
  // Each found one stands for 1/audit − 1 that were not: that estimate scatters.
  const double unseen = 1 / std::max(bound.audit, 1e-3);
  const double upper = wrong_ + 1.3 * std::sqrt(wrong_ * unseen) + unseen;
  return upper <= bound.delta * static_cast<double>(asked_);
}

Evidence::Trust Evidence::trust(std::string_view task, double score, const EntryEvidence& entry,
                                const Bound& bound) const {
  const std::scoped_lock lock(mutex_);
  const auto kind = kinds_.find(task);
  const KindEvidence& known = kind == kinds_.end() ? unknown_ : kind->second;
  return {entry.error(score, known.error(score, bound)), budget_.allows(bound)};
}

void Evidence::asked() {
  const std::scoped_lock lock(mutex_);
  budget_.asked();
}

void Evidence::observe(std::string_view task, double score, bool correct, bool trusted,
                       const Bound& bound) {
  const std::scoped_lock lock(mutex_);
  auto kind = kinds_.find(task);
  if (kind == kinds_.end() && kinds_.size() < kMaxKinds)
    kind = kinds_.emplace(std::string(task), KindEvidence()).first;
  (kind == kinds_.end() ? unknown_ : kind->second).add(score, correct);
  if (trusted && !correct) budget_.found_wrong(std::max(1.0, 1 / std::max(bound.audit, 1e-3) - 1));
}

void Evidence::report(std::string_view task, double score) {
  const std::scoped_lock lock(mutex_);
  const auto kind = kinds_.find(task);
  (kind == kinds_.end() ? unknown_ : kind->second).add(score, false);
  budget_.found_wrong(1);
}

std::uint64_t Evidence::questions() const {
  const std::scoped_lock lock(mutex_);
  return budget_.questions();
}

double Evidence::estimated_wrong() const {
  const std::scoped_lock lock(mutex_);
  return budget_.estimated_wrong();
}

std::string Evidence::encode() const {
  const std::scoped_lock lock(mutex_);
  json::object kinds;
  for (const auto& [task, kind] : kinds_) kinds[task] = kind.encode();
  json::object out;
  out["version"] = 1;
  out["asked"] = budget_.questions();
  out["wrong"] = budget_.estimated_wrong();
  out["kinds"] = std::move(kinds);
  return json::serialize(out);
}

Result<void> Evidence::restore(std::string_view text) {
  const auto corrupt = [] {
    return fail(Errc::kCorrupt, "what was learned about cached answers cannot be read");
  };
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  const json::object* root = error ? nullptr : parsed.if_object();
  if (root == nullptr) return corrupt();
  const json::value* asked = root->if_contains("asked");
  const json::value* wrong = root->if_contains("wrong");
  const json::value* kinds = root->if_contains("kinds");
  if (asked == nullptr || wrong == nullptr || kinds == nullptr || !kinds->is_object() ||
      !asked->is_number() || !wrong->is_number())
    return corrupt();
  std::map<std::string, KindEvidence, std::less<>> read;
  for (const auto& [task, value] : kinds->get_object()) {
    if (!value.is_string() || read.size() == kMaxKinds) return corrupt();
    ASAHI_TRY(auto kind, KindEvidence::decode(std::string_view(value.get_string())));
    read.emplace(std::string(task), std::move(kind));
  }
  const double count = asked->to_number<double>();
  const double errors = wrong->to_number<double>();
  if (!(count >= 0 && count < 1e18) || !(errors >= 0 && errors < 1e18)) return corrupt();
  const std::scoped_lock lock(mutex_);
  kinds_ = std::move(read);
  budget_.restore(static_cast<std::uint64_t>(count), errors);
  return {};
}

}  // namespace asahi::gateway::semantic
