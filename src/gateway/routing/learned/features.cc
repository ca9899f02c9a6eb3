#include "gateway/routing/learned/features.h"

#include <algorithm>
#include <cmath>

namespace asahi::gateway::learned {
namespace {

constexpr std::size_t kHead = 2'048;
constexpr std::size_t kTail = 1'024;
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

constexpr std::size_t kMarkSlots = 256;
struct MarkSlot {
  std::uint64_t hash = 0;
  std::uint8_t mark = 0;
};
constexpr std::array<MarkSlot, kMarkSlots> make_marks() {
  std::array<MarkSlot, kMarkSlots> slots{};
  for (std::size_t i = 0; i < kMarkWords.size(); ++i) {
    const std::uint64_t hash = hash_of(kMarkWords[i]);
    std::size_t slot = hash % kMarkSlots;
    while (slots[slot].hash != 0) slot = (slot + 1) % kMarkSlots;
    slots[slot] = {hash, static_cast<std::uint8_t>(i)};
  }
  return slots;
}
constexpr auto kMarkTable = make_marks();

/// Counts hashes in open addressing; what does not fit is dropped.
class Counts {
 public:
  void add(std::uint64_t hash) {
    const auto bucket = static_cast<std::uint32_t>(hash % Features::kBuckets);
    for (std::size_t slot = bucket % kSlots;; slot = (slot + 1) % kSlots) {
      Slot& found = slots_[slot];
      if (found.count == 0) {
        if (size_ == Features::kMostWords) return;
        ++size_;
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
    for (const Slot& slot : slots_) {
      if (slot.count == 0) continue;
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
  std::size_t size_ = 0;
};

struct Tally {
  double letters = 0, digits = 0, numbers = 0, signs = 0, brackets = 0, breaks = 0, capitals = 0;
  double commas = 0, stops = 0, questions = 0, colons = 0, words = 0, long_words = 0;
  double line = 0, longest_line = 0, first_line = 0, lines = 0, highest = 0, code = 0;
  std::array<std::uint16_t, Features::kMarks> marks{};
};

void count_mark(std::uint64_t hash, Tally& tally) {
  for (std::size_t slot = hash % kMarkSlots; kMarkTable[slot].hash != 0;
       slot = (slot + 1) % kMarkSlots) {
    if (kMarkTable[slot].hash != hash) continue;
    ++tally.marks[kMarkTable[slot].mark];  // a prompt part has at most 2,048 words
    return;
  }
}

void read_part(std::string_view text, Tally& tally, Counts& counts) {
  std::uint64_t before = 0;
  const auto end_line = [&tally] {
    if (tally.lines == 0) tally.first_line = tally.line;
    tally.longest_line = std::max(tally.longest_line, tally.line);
    ++tally.lines;
    tally.line = 0;
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
        while (i < text.size()) {
          const auto letter = static_cast<unsigned char>(text[i]);
          if (kKinds[letter] != kLetter) break;
          const bool capital = letter >= 'A' && letter <= 'Z';
          tally.capitals += capital ? 1 : 0;
          hash = mix(hash, capital ? letter + 32 : letter);
          ++i;
        }
        const std::size_t size = i - start;
        tally.letters += static_cast<double>(size);
        tally.words += 1;
        tally.long_words += size > 8 ? 1 : 0;
        tally.line += static_cast<double>(size);
        count_mark(hash, tally);
        word(hash);
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
        before = 0;
        break;
      case kOther:
        tally.commas += c == ',' ? 1 : 0;
        tally.stops += c == '.' ? 1 : 0;
        tally.questions += c == '?' ? 1 : 0;
        tally.colons += c == ':' || c == ';' ? 1 : 0;
        if (c == '?') word(mix(kSeed, c));
        break;
    }
    tally.line += 1;
    ++i;
  }
  end_line();
}

float log1(double value) { return static_cast<float>(std::log1p(value)); }

}  // namespace

std::string_view to_string(Features::Group group) {
  constexpr std::array<std::string_view, 5> kNames{"length", "numbers", "symbols", "structure",
                                                   "words"};
  return kNames[group];
}

Features::Group Features::group_of(std::size_t form) {
  using enum Group;
  constexpr std::array<Group, kShapes> kGroups{
      kLength,    kLength,    kLength,    kLength,    kNumbers,   kNumbers,
      kNumbers,   kNumbers,   kSymbols,   kSymbols,   kSymbols,   kSymbols,
      kSymbols,   kStructure, kStructure, kStructure, kStructure, kStructure,
      kStructure, kStructure, kStructure, kLength,    kNumbers,   kWords};
  return form < kShapes ? kGroups[form] : kWords;
}

void read_features(std::string_view prompt, Features& out) {
  Tally t;
  Counts counts;
  if (prompt.size() <= kHead + kTail) {
    read_part(prompt, t, counts);
  } else {
    read_part(prompt.substr(0, kHead), t, counts);
    read_part(prompt.substr(prompt.size() - kTail), t, counts);
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
    out.form[Features::kShapes + i] = t.marks[i] == 0 ? 0 : log1(t.marks[i]);
}

}  // namespace asahi::gateway::learned
