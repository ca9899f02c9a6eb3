#include "gateway/routing/learned/story.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t index_of(WordSense::Bit bit) {
  return static_cast<std::size_t>(std::countr_zero(static_cast<std::uint32_t>(bit)));
}

}  // namespace

float log_count(std::uint32_t count) {
  static const std::array<float, 64> kLogs = [] {
    std::array<float, 64> logs{};
    for (std::size_t n = 0; n < logs.size(); ++n) logs[n] = std::log1p(static_cast<float>(n));
    return logs;
  }();
  return count < kLogs.size() ? kLogs[count] : std::log1p(static_cast<float>(count));
}

void Story::word(std::uint64_t hash, const WordSense& sense, bool capital) {
  settle();
  // A capital within a sentence is most often a name.
  if (capital && sentence_words_ > 0) {
    ++capitals_;
    names_.add(hash);
  }
  ++words_;
  ++sentence_words_;
  std::uint32_t counted = sense.bits & ((1U << WordSense::kCounted) - 1);
  for (; counted != 0; counted &= counted - 1)
    ++senses_[static_cast<std::size_t>(std::countr_zero(counted))];
  time_units_ |= sense.time_unit;
  const auto follows = [&](std::uint32_t first, std::uint32_t second) -> std::uint32_t {
    return (before_ & first) != 0 && (sense.bits & second) != 0 ? 1 : 0;
  };
  if (before_ != 0 && sense.bits != 0) {
    than_ += follows(WordSense::kComparative, WordSense::kThan);
    times_as_ += follows(WordSense::kTimes, WordSense::kAfterTimes);
    as_many_ += follows(WordSense::kAs, WordSense::kAfterAs);
    how_many_ += follows(WordSense::kHow, WordSense::kMany);
    how_much_ += follows(WordSense::kHow, WordSense::kMuch);
  }
  before_ = sense.bits;
  if (sense.value > 0) {
    ++sentence_numbers_;
    value_ = static_cast<double>(sense.value);
    pending_ = true;
    settle();
  }
}

void Story::number(double value, Sign sign) {
  settle();
  ++words_;
  ++sentence_words_;
  ++sentence_numbers_;
  money_ += sign.money ? 1 : 0;
  percents_ += sign.percent ? 1 : 0;
  fractions_ += sign.fraction ? 1 : 0;
  before_ = 0;
  value_ = value;
  pending_ = true;
}

void Story::more_digits(double value, bool after_point, Sign sign) {
  if (!pending_) return;
  percents_ += sign.percent ? 1 : 0;
  if (after_point) {
    ++decimals_;
    value_ += value / 1000;  // enough to tell numbers apart
  } else {
    value_ = std::min(value_ * 1000 + value, 1e12);
  }
}

void Story::settle() {
  if (!pending_) return;
  pending_ = false;
  lowest_ = numbers_ == 0 ? value_ : std::min(lowest_, value_);
  highest_ = std::max(highest_, value_);
  logs_ += std::log1p(value_);
  ++numbers_;
  values_.add(value_);
  large_ += value_ >= 100 ? 1 : 0;
  // 17 and 38 are harder to reckon with than 15 and 40.
  uneven_ += value_ > 12 && value_ < 1e9 && value_ == std::floor(value_) &&
                     static_cast<std::int64_t>(value_) % 5 != 0
                 ? 1
                 : 0;
}

void Story::sentence_end(bool question) {
  settle();
  if (sentence_words_ == 0) return;
  ++sentences_;
  with_numbers_ += sentence_numbers_ > 0 ? 1 : 0;
  ends_with_question_ = question;
  if (question) {
    ++questions_;
    question_words_ = sentence_words_;
    question_numbers_ = sentence_numbers_;
  }
  sentence_words_ = sentence_numbers_ = 0;
  before_ = 0;
}

void Story::write(std::span<float, kForms> out) {
  sentence_end(false);
  const double words = std::max<std::uint32_t>(1, words_);
  const double numbers = std::max<std::uint32_t>(1, numbers_);
  const auto sense = [this](WordSense::Bit bit) { return senses_[index_of(bit)]; };
  const std::uint32_t percents = percents_ + sense(WordSense::kPercent);
  // About how many steps of reckoning the text holds.
  const std::uint32_t steps = numbers_ + sense(WordSense::kRelation) + sense(WordSense::kShare);
  const std::uint32_t more_steps = steps + than_ + as_many_ +
                                   static_cast<std::uint32_t>(std::popcount(time_units_)) +
                                   percents + sense(WordSense::kRate);
  const std::array<float, kForms> forms{
      log_count(sentences_),
      static_cast<float>(words / std::max<std::uint32_t>(1, sentences_)),
      log_count(numbers_),
      log_count(static_cast<std::uint32_t>(values_.size)),
      static_cast<float>(static_cast<double>(values_.size) / numbers),
      log_count(with_numbers_),
      static_cast<float>(numbers_ / words),
      static_cast<float>(std::log1p(highest_)),
      static_cast<float>(std::log1p(lowest_)),
      static_cast<float>(logs_ / numbers),
      log_count(large_),
      log_count(uneven_),
      log_count(money_),
      log_count(percents),
      log_count(decimals_),
      log_count(sense(WordSense::kFraction) + fractions_),
      log_count(sense(WordSense::kRelation)),
      log_count(sense(WordSense::kShare)),
      log_count(sense(WordSense::kTake)),
      log_count(sense(WordSense::kCondition)),
      log_count(sense(WordSense::kTotal)),
      log_count(sense(WordSense::kRate)),
      log_count(sense(WordSense::kOrder)),
      log_count(sense(WordSense::kPronoun)),
      log_count(sense(WordSense::kMoney)),
      log_count(sense(WordSense::kTime)),
      log_count(static_cast<std::uint32_t>(std::popcount(time_units_))),
      log_count(sense(WordSense::kMeasure)),
      log_count(sense(WordSense::kNegation)),
      log_count(sense(WordSense::kAnd)),
      log_count(sense(WordSense::kClause)),
      log_count(than_),
      log_count(times_as_),
      log_count(as_many_),
      log_count(how_many_),
      log_count(how_much_),
      log_count(capitals_),
      log_count(static_cast<std::uint32_t>(names_.size)),
      log_count(questions_),
      log_count(question_words_),
      log_count(question_numbers_),
      ends_with_question_ ? 1.0F : 0.0F,
      log_count(steps),
      log_count(more_steps),
      static_cast<float>(more_steps / words)};
  std::ranges::copy(forms, out.begin());
}

}  // namespace asahi::gateway::learned
