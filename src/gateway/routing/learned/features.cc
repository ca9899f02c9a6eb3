#include "gateway/routing/learned/features.h"

#include <algorithm>
#include <cmath>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t kHead = 1'536;
constexpr std::size_t kTail = 512;
constexpr std::size_t kSlots = 2'048;  // a power of two, twice as many as words are kept
constexpr std::uint64_t kSeed = 1469598103934665603ULL;

enum Kind : std::uint8_t { kOther, kLetter, kDigit, kSign, kBracket, kBreak };

constexpr std::array<Kind, 256> make_kinds() {
  std::array<Kind, 256> kinds{};
  for (std::size_t c = 0; c < kinds.size(); ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80 || c == '\'')
      kinds[c] = kLetter;
    if (c >= '0' && c <= '9') kinds[c] = kDigit;
  }
  for (const char c : {'+', '*', '/', '=', '^', '<', '>', '%', '$', '\\', '-'})
    kinds[static_cast<std::size_t>(c)] = kSign;
  for (const char c : {'(', ')', '[', ']', '{', '}', '_', '"', '`'})
    kinds[static_cast<std::size_t>(c)] = kBracket;
  kinds['\n'] = kBreak;
  return kinds;
}
constexpr auto kKinds = make_kinds();

constexpr std::uint64_t mix(std::uint64_t hash, unsigned char c) {
  return (hash ^ c) * 1099511628211ULL;  // FNV-1a
}
constexpr std::uint64_t finish(std::uint64_t hash) {
  hash ^= hash >> 29;
  hash *= 0xBF58476D1CE4E5B9ULL;
  return hash ^ hash >> 32;
}

/// Words of any subject that tell what is asked for, and of how many steps.
constexpr std::array<std::string_view, Features::kMarks> kMarkWords{
    "not",    "except",    "which",  "following", "statement", "true",    "false", "how",
    "many",   "much",      "each",   "every",     "half",      "twice",   "times", "percent",
    "more",   "less",      "fewer",  "than",      "total",     "left",    "per",   "if",
    "then",   "after",     "before", "average",   "ratio",     "because", "best",  "most",
    "likely", "according", "find",   "value",     "function",  "says",    "why",   "who",
    "when",   "where",     "none",   "all",       "both",      "only",    "never", "must"};

constexpr std::uint64_t hash_of(std::string_view word) {
  std::uint64_t hash = kSeed;
  for (const char c : word) hash = mix(hash, static_cast<unsigned char>(c));
  return hash;
}

struct Sense {
  std::uint32_t bits;
  std::string_view words;  // with blanks between them
};
using S = WordSense;
constexpr std::array kSenses{
    Sense{S::kTime,
          "second seconds minute minutes hour hours day days week weeks month months year years "
          "daily "
          "weekly monthly yearly am pm morning night monday tuesday wednesday thursday friday "
          "saturday sunday"},
    Sense{S::kMeasure,
          "feet foot inches inch miles mile mph kilometers km meters meter pounds pound ounces "
          "ounce gallons gallon liters liter cups grams kg degrees square cm mg ml acres yards"},
    Sense{S::kRelation,
          "half twice thrice double triple third thirds quarter quarters fourth fifth fifths sixth "
          "tenth times"},
    Sense{S::kFraction, "half third thirds quarter quarters fourth fifth fifths sixth tenth"},
    Sense{S::kShare, "each every per apiece both"},
    Sense{S::kTake,
          "left remaining rest remain remains gave lost spent ate sold away used gives sells eats"},
    Sense{S::kCondition, "if then after before when while until unless assuming since instead"},
    Sense{S::kTotal, "total altogether combined together sum all overall"},
    Sense{S::kRate,
          "average ratio percent percentage rate speed profit discount tax interest probability "
          "area perimeter increase increased decrease decreased"},
    Sense{S::kOrder, "first second third next last another other others same"},
    Sense{S::kPronoun, "he she they his her their it its them him"},
    Sense{S::kMoney,
          "cost costs price buy buys bought pay pays paid earn earns earned dollars dollar cents "
          "money spend"},
    Sense{S::kNegation, "not never no none doesn't didn't don't without except only"},
    Sense{S::kAnd, "and"},
    Sense{S::kClause, "who which that"},
    Sense{S::kPercent, "percent"},
    Sense{S::kComparative,
          "more less fewer older younger longer taller faster cheaper higher greater"},
    Sense{S::kThan, "than"},
    Sense{S::kTimes, "times"},
    Sense{S::kAfterTimes, "as more the that"},
    Sense{S::kAs, "as"},
    Sense{S::kAfterAs, "many much long old tall fast"},
    Sense{S::kHow, "how"},
    Sense{S::kMany, "many"},
    Sense{S::kMuch, "much"},
};
constexpr std::array<std::string_view, 7> kTimeUnits{
    "second seconds", "minute minutes", "hour hours", "day days",
    "week weeks",     "month months",   "year years"};
struct NumberWord {
  std::string_view word;
  float value;
};
constexpr NumberWord kNumberWords[] = {
    {"two", 2},       {"three", 3},      {"four", 4},     {"five", 5},    {"six", 6},
    {"seven", 7},     {"eight", 8},      {"nine", 9},     {"ten", 10},    {"eleven", 11},
    {"twelve", 12},   {"dozen", 12},     {"fifteen", 15}, {"twenty", 20}, {"thirty", 30},
    {"hundred", 100}, {"thousand", 1000}};

/// Small words by their hash: which mark one is, and what it stands for.
constexpr std::size_t kKnownSlots = 1'024;
struct Known {
  std::uint64_t hash = 0;
  std::int16_t mark = -1;
  WordSense sense;
};
constexpr std::array<Known, kKnownSlots> make_known() {
  std::array<Known, kKnownSlots> slots{};
  const auto slot_of = [&slots](std::string_view word) -> Known& {
    const std::uint64_t hash = hash_of(word);
    std::size_t slot = hash % kKnownSlots;
    while (slots[slot].hash != 0 && slots[slot].hash != hash) slot = (slot + 1) % kKnownSlots;
    slots[slot].hash = hash;
    return slots[slot];
  };
  const auto each = [](std::string_view words, auto&& use) {
    while (!words.empty()) {
      const std::size_t end = std::min(words.find(' '), words.size());
      use(words.substr(0, end));
      words.remove_prefix(std::min(end + 1, words.size()));
    }
  };
  for (std::size_t i = 0; i < kMarkWords.size(); ++i)
    slot_of(kMarkWords[i]).mark = static_cast<std::int16_t>(i);
  for (const Sense& sense : kSenses)
    each(sense.words, [&](std::string_view word) { slot_of(word).sense.bits |= sense.bits; });
  for (std::size_t unit = 0; unit < kTimeUnits.size(); ++unit) {
    each(kTimeUnits[unit], [&](std::string_view word) {
      slot_of(word).sense.time_unit = static_cast<std::uint8_t>(1U << unit);
    });
  }
  for (const NumberWord& number : kNumberWords) slot_of(number.word).sense.value = number.value;
  return slots;
}
constexpr auto kKnown = make_known();
constexpr Known kUnknown{};

const Known& known(std::uint64_t hash) {
  for (std::size_t slot = hash % kKnownSlots; kKnown[slot].hash != 0;
       slot = (slot + 1) % kKnownSlots) {
    if (kKnown[slot].hash == hash) return kKnown[slot];
  }
  return kUnknown;
}

/// Counts hashes in open addressing; what does not fit is dropped.
class Counts {
 public:
  void add(std::uint64_t hash) {
    const auto bucket = static_cast<std::uint32_t>(hash % Features::kBuckets);
    for (std::size_t slot = bucket % kSlots;; slot = (slot + 1) % kSlots) {
      Slot& found = slots_[slot];
      if (found.count == 0) {
        if (size_ == Features::kMostWords) return;
        used_[size_++] = static_cast<std::uint16_t>(slot);
        found.bucket = static_cast<std::uint16_t>(bucket);
      } else if (found.bucket != bucket) {
        continue;
      }
      if (found.count < 0xFFFF) ++found.count;
      return;
    }
  }
  void write(Features& out) const {
    static const std::array<float, 16> kLogs = [] {
      std::array<float, 16> logs{};
      for (std::size_t n = 1; n < logs.size(); ++n) logs[n] = 1 + std::log(static_cast<float>(n));
      return logs;
    }();
    out.word_count = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      const Slot& slot = slots_[used_[i]];
      out.words[out.word_count++] = {slot.bucket,
                                     kLogs[std::min<std::size_t>(slot.count, kLogs.size() - 1)]};
    }
  }

 private:
  struct Slot {
    std::uint16_t bucket = 0, count = 0;
  };
  static_assert(Features::kBuckets == 1U << 16, "buckets are kept in 16 bits");
  std::array<Slot, kSlots> slots_{};
  std::array<std::uint16_t, Features::kMostWords> used_;  // slots in the order they were taken
  std::size_t size_ = 0;
};

struct Tally {
  double letters = 0, digits = 0, numbers = 0, signs = 0, brackets = 0, breaks = 0, capitals = 0;
  double commas = 0, stops = 0, questions = 0, colons = 0, words = 0, long_words = 0;
  double line = 0, longest_line = 0, first_line = 0, lines = 0, highest = 0, code = 0;
  std::array<std::uint16_t, Features::kMarks> marks{};
};

void read_part(std::string_view text, Tally& tally, Counts& counts, Story& story) {
  std::uint64_t before = 0;
  const auto end_line = [&tally] {
    if (tally.lines == 0) tally.first_line = tally.line;
    tally.longest_line = std::max(tally.longest_line, tally.line);
    ++tally.lines;
    tally.line = 0;
  };
  const auto digit_at = [text](std::size_t at) {
    return at < text.size() && kKinds[static_cast<unsigned char>(text[at])] == kDigit;
  };
  const auto word = [&](std::uint64_t hash) {
    counts.add(finish(hash));
    if (before != 0) counts.add(finish(before * 31 + hash));
    before = hash;
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    switch (kKinds[c]) {
      case kLetter: {
        const std::size_t start = i;
        std::uint64_t hash = kSeed;
        unsigned capitals = 0;
        while (i < text.size()) {
          const auto letter = static_cast<unsigned char>(text[i]);
          if (kKinds[letter] != kLetter) break;
          const bool capital = letter >= 'A' && letter <= 'Z';
          capitals += capital ? 1 : 0;
          hash = mix(hash, capital ? letter + 32 : letter);
          ++i;
        }
        const std::size_t size = i - start;
        tally.capitals += capitals;
        tally.letters += static_cast<double>(size);
        tally.words += 1;
        tally.long_words += size > 8 ? 1 : 0;
        tally.line += static_cast<double>(size);
        const Known& small = known(hash);
        if (small.mark >= 0) ++tally.marks[static_cast<std::size_t>(small.mark)];  // ≤ 2,048 words
        story.word(hash, small.sense, text[start] >= 'A' && text[start] <= 'Z');
        word(hash);
        if (i < text.size() && text[i] == ' ') {  // most words end so: one branch less to guess
          tally.line += 1;
          ++i;
        }
        continue;
      }
      case kDigit: {
        const std::size_t start = i;
        double value = 0;
        while (i < text.size() && kKinds[static_cast<unsigned char>(text[i])] == kDigit) {
          value = std::min(value * 10 + (text[i] - '0'), 1e9);
          ++i;
        }
        const std::size_t size = i - start;
        tally.digits += static_cast<double>(size);
        tally.numbers += 1;
        tally.words += 1;
        tally.line += static_cast<double>(size);
        tally.highest = std::max(tally.highest, value);
        // "3.50" and "1,200" are one number to a reader.
        const char mark = start >= 2 && digit_at(start - 2) ? text[start - 1] : '\0';
        const Story::Sign sign{.money = start >= 1 && text[start - 1] == '$',
                               .percent = i < text.size() && text[i] == '%',
                               .fraction = i < text.size() && text[i] == '/' && digit_at(i + 1)};
        if (mark == '.' || (mark == ',' && size == 3)) {
          story.more_digits(value, mark == '.', sign);
        } else {
          story.number(value, sign);
        }
        // Which number it is matters less than how long it is.
        word(mix(mix(kSeed, '#'), static_cast<unsigned char>(std::min<std::size_t>(size, 5))));
        continue;
      }
      case kSign:
        tally.signs += 1;
        word(mix(kSeed, c));
        break;
      case kBracket:
        tally.brackets += 1;
        tally.code += c == '`' || c == '{' ? 1 : 0;
        break;
      case kBreak:
        tally.breaks += 1;
        end_line();
        story.sentence_end(false);
        before = 0;
        break;
      case kOther:
        tally.commas += c == ',' ? 1 : 0;
        tally.stops += c == '.' ? 1 : 0;
        tally.questions += c == '?' ? 1 : 0;
        tally.colons += c == ':' || c == ';' ? 1 : 0;
        if (c == '?') word(mix(kSeed, c));
        if (c == '?' || c == '!' || (c == '.' && !digit_at(i + 1))) story.sentence_end(c == '?');
        break;
    }
    tally.line += 1;
    ++i;
  }
  end_line();
  story.sentence_end(false);
}

float log1(double value) { return static_cast<float>(std::log1p(value)); }

}  // namespace

std::string_view to_string(Features::Group group) {
  constexpr std::array<std::string_view, Features::kGroups> kNames{
      "length", "numbers", "symbols", "structure", "story", "words"};
  return kNames[group];
}

Features::Group Features::group_of(std::size_t form) {
  using enum Group;
  constexpr std::array<Group, kShapes> kOf{
      kLength,    kLength,    kLength,    kLength,    kNumbers,   kNumbers,
      kNumbers,   kNumbers,   kSymbols,   kSymbols,   kSymbols,   kSymbols,
      kSymbols,   kStructure, kStructure, kStructure, kStructure, kStructure,
      kStructure, kStructure, kStructure, kLength,    kNumbers,   kWords};
  if (form < kShapes) return kOf[form];
  return is_mark(form) ? kWords : kStory;
}

void read_features(std::string_view prompt, Features& out) {
  Tally t;
  Counts counts;
  Story story;
  if (prompt.size() <= kHead + kTail) {
    read_part(prompt, t, counts, story);
  } else {
    read_part(prompt.substr(0, kHead), t, counts, story);
    read_part(prompt.substr(prompt.size() - kTail), t, counts, story);
  }
  counts.write(out);
  const double bytes = static_cast<double>(std::min(prompt.size(), kHead + kTail));
  const double words = std::max(1.0, t.words);
  const double distinct = static_cast<double>(out.word_count);
  const std::array<float, Features::kShapes> shapes{
      log1(static_cast<double>(prompt.size())),
      log1(t.words),
      static_cast<float>(t.letters / words),
      static_cast<float>(t.long_words / words),
      log1(t.digits),
      log1(t.numbers),
      log1(t.highest),
      static_cast<float>(t.digits / (bytes + 1)),
      log1(t.signs),
      static_cast<float>(t.signs / (bytes + 1)),
      log1(t.brackets),
      static_cast<float>(t.capitals / (bytes + 1)),
      log1(t.code),
      log1(t.breaks),
      log1(t.commas),
      log1(t.stops),
      log1(t.questions),
      log1(t.colons),
      log1(t.first_line),
      log1(t.longest_line),
      log1(t.lines > 1 ? (bytes - t.first_line) / (t.lines - 1) : 0),
      static_cast<float>(words / std::max(1.0, t.stops + t.questions)),
      static_cast<float>(t.numbers / words),
      static_cast<float>(distinct / (2 * words))};
  std::ranges::copy(shapes, out.form.begin());
  for (std::size_t i = 0; i < Features::kMarks; ++i)
    out.form[Features::kShapes + i] = log_count(t.marks[i]);
  story.write(std::span(out.form).subspan<Features::kShapes + Features::kMarks, Story::kForms>());
}

}  // namespace asahi::gateway::learned
