#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace asahi::gateway::learned {

/// ln(1 + count), from a table for the small counts that most are.
float log_count(std::uint32_t count);

/// What a small word stands for; a word may stand for several.
struct WordSense {
  static constexpr std::size_t kCounted = 16;  ///< senses that are counted one by one
  enum Bit : std::uint32_t {
    kTime = 1U << 0,
    kMeasure = 1U << 1,
    kRelation = 1U << 2,  ///< half, twice, third
    kFraction = 1U << 3,
    kShare = 1U << 4,  ///< each, every, per
    kTake = 1U << 5,   ///< left, sold, spent
    kCondition = 1U << 6,
    kTotal = 1U << 7,
    kRate = 1U << 8,   ///< average, percent, tax, speed
    kOrder = 1U << 9,  ///< first, next, other
    kPronoun = 1U << 10,
    kMoney = 1U << 11,
    kNegation = 1U << 12,
    kAnd = 1U << 13,
    kClause = 1U << 14,  ///< who, which, that
    kPercent = 1U << 15,
    kComparative = 1U << 16,  ///< more, fewer, older: before "than"
    kThan = 1U << 17,
    kTimes = 1U << 18,
    kAfterTimes = 1U << 19,
    kAs = 1U << 20,
    kAfterAs = 1U << 21,  ///< many, much, old
    kHow = 1U << 22,
    kMany = 1U << 23,
    kMuch = 1U << 24,
  };
  std::uint32_t bits = 0;
  std::uint8_t time_unit = 0;  ///< one bit for each of second, minute, … year
  float value = 0;             ///< of a number word; 0: none
};

/// What a problem told in words is made of: its numbers and how they vary, units, relations between
/// quantities, names, sentences, and what the question asks. It counts; it understands nothing.
class Story {
 public:
  static constexpr std::size_t kForms = 45;

  void word(std::uint64_t hash, const WordSense& sense, bool capital);
  struct Sign {
    bool money = false, percent = false, fraction = false;
  };
  void number(double value, Sign sign);
  /// The digits after a number's point or comma, which was told before.
  void more_digits(double value, bool after_point, Sign sign);
  void sentence_end(bool question);
  /// Ends the last sentence. `bytes` is the length of what was read.
  void write(std::span<float, kForms> out);

 private:
  static constexpr std::size_t kMost = 32;  // distinct numbers and names that are told apart
  /// A few distinct values, in the order they came.
  template <typename T>
  struct Distinct {
    std::array<T, kMost> seen{};
    std::size_t size = 0;
    void add(T value) {
      for (std::size_t i = 0; i < size; ++i)
        if (seen[i] == value) return;
      if (size < kMost) seen[size++] = value;
    }
  };
  void settle();  // counts the number that was read last: its digits are complete

  std::array<std::uint32_t, WordSense::kCounted> senses_{};
  Distinct<double> values_;
  Distinct<std::uint64_t> names_;
  bool pending_ = false;
  double value_ = 0;
  double highest_ = 0, lowest_ = 0, logs_ = 0;
  std::uint32_t numbers_ = 0, large_ = 0, uneven_ = 0, money_ = 0, percents_ = 0, decimals_ = 0,
                fractions_ = 0;
  std::uint32_t than_ = 0, times_as_ = 0, as_many_ = 0, how_many_ = 0, how_much_ = 0;
  std::uint32_t words_ = 0, capitals_ = 0;
  std::uint8_t time_units_ = 0;
  std::uint32_t before_ = 0;  // bits of the word before
  std::uint32_t sentences_ = 0, with_numbers_ = 0, questions_ = 0;
  std::uint32_t sentence_words_ = 0, sentence_numbers_ = 0;
  std::uint32_t question_words_ = 0, question_numbers_ = 0;
  bool ends_with_question_ = false;
};

}  // namespace asahi::gateway::learned
