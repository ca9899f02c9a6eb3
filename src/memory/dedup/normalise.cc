#include "memory/dedup/normalise.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/utf8.h"
#include "memory/dedup/unicode.h"

namespace asahi::memory::dedup {
namespace {

constexpr char32_t kHangulFirst = 0xAC00, kHangulLast = 0xD7A3;
constexpr char32_t kLead = 0x1100, kVowel = 0x1161, kTrail = 0x11A7;
constexpr char32_t kFirstJoining = 0x09BE;  // Bengali; of those that are no marks
constexpr char32_t kVowels = 21, kTrails = 28;
/// A letter with more marks than this is no language's (UAX #15, Stream-Safe Text Format: 30).
constexpr std::size_t kMostMarks = 30;

template <class Range>
const Range* range_of(std::span<const Range> ranges, char32_t c) {
  const auto after = std::ranges::upper_bound(ranges, c, {}, &Range::first);
  if (after == ranges.begin()) return nullptr;
  const Range& found = *std::prev(after);
  return c <= found.last ? &found : nullptr;
}

/// The tables, with which pages of 64 characters they say anything about: most text is settled by
/// one look.
class Tables {
 public:
  static const Tables& get() {
    static const Tables tables;
    return tables;
  }
  bool plain(char32_t c) const { return c < kPaged && !busy_[c / kPage]; }

  /// Calls `take` with each character that `c` folds to.
  template <class Take>
  void fold(char32_t c, Take&& take) const {
    if (const FoldRun* run = range_of(fold_runs(), c);
        run != nullptr && (c - run->first) % run->step == 0) {
      return take(static_cast<char32_t>(static_cast<std::int32_t>(c) + run->difference));
    }
    const auto many = std::ranges::lower_bound(fold_many(), c, {}, &FoldMany::from);
    if (many == fold_many().end() || many->from != c) return take(c);
    for (const char32_t part : fold_pool().subspan(many->at, many->length)) take(part);
  }
  std::uint8_t mark(char32_t c) const {
    const MarkRange* const range = range_of(mark_ranges(), c);
    return range == nullptr ? 0 : range->kind;
  }
  /// 0: the two are not written as one.
  char32_t whole(char32_t a, char32_t b) const {
    if (a >= kLead && a < kLead + 19 && b >= kVowel && b < kVowel + kVowels)
      return kHangulFirst + ((a - kLead) * kVowels + (b - kVowel)) * kTrails;
    if (a >= kHangulFirst && a <= kHangulLast && (a - kHangulFirst) % kTrails == 0 && b > kTrail &&
        b < kTrail + kTrails)
      return a + (b - kTrail);
    const auto at = std::ranges::lower_bound(pairs(), std::pair(a, b), {}, [](const Pair& pair) {
      return std::pair(pair.first, pair.second);
    });
    return at != pairs().end() && at->first == a && at->second == b ? at->whole : 0;
  }
  /// Takes a composed letter fully apart (canonical); Hangul stays, for no mark joins it.
  void apart(char32_t c, std::vector<char32_t>& out) const {
    const auto at = std::ranges::lower_bound(by_whole_, c, {}, &Pair::whole);
    if (at == by_whole_.end() || at->whole != c) {
      out.push_back(c);
      return;
    }
    apart(at->first, out);
    out.push_back(at->second);
  }
  /// Whether `c`, no mark, may join the character before it.
  static bool joins(char32_t c) {
    return (c >= 0x09BE && c <= 0x1B35) || (c >= 0x110A0 && c <= 0x11A00);
  }

 private:
  static constexpr char32_t kPaged = 0x20000, kPage = 64;

  Tables() : by_whole_(pairs().begin(), pairs().end()) {
    std::ranges::sort(by_whole_, {}, &Pair::whole);
    const auto busy = [&](char32_t first, char32_t last) {
      for (char32_t c = first; c <= last && c < kPaged; ++c) busy_[c / kPage] = true;
    };
    for (const FoldRun& run : fold_runs()) busy(run.first, run.last);
    for (const FoldMany& many : fold_many()) busy(many.from, many.from);
    for (const MarkRange& range : mark_ranges()) busy(range.first, range.last);
    for (const Pair& pair : pairs()) {
      if (joins(pair.second)) busy(pair.second, pair.second);
    }
    busy(kLead, kTrail + kTrails);
  }

  std::array<bool, kPaged / kPage> busy_{};
  std::vector<Pair> by_whole_;
};

char32_t decode(std::string_view text, std::size_t at, std::size_t length) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  if (length == 2) return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
  if (length == 3) return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
}

void append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

/// Writes folded characters, putting letters and their marks together (UAX #15).
class Composer {
 public:
  explicit Composer(std::string& out) : out_(out) {}

  /// A character without a mark's class that cannot join the one before it.
  void plain(char32_t c) {
    flush();
    letter_ = c;
  }
  void any(char32_t c) {
    const Tables& tables = Tables::get();
    if (tables.mark(c) != 0) {
      if (marks_.size() >= kMostMarks) return;
      if (letter_ == 0) letter_ = U' ';
      marks_.push_back(c);
      return;
    }
    if (letter_ != 0 && marks_.empty() && c >= kFirstJoining) {
      if (const char32_t whole = tables.whole(letter_, c); whole != 0) {
        letter_ = whole;
        return;
      }
    }
    flush();
    letter_ = c;
  }
  void flush() {
    if (letter_ == 0) return;
    if (!marks_.empty())
      compose();
    else
      write(letter_);
    letter_ = 0;
  }
  bool blank_waits() const { return blank_; }
  void took_ascii() {
    started_ = true;
    blank_ = false;
  }
  void want_blank() { blank_ = started_; }

 private:
  void write(char32_t c) {
    if (c == U' ') {
      want_blank();
      return;
    }
    if (blank_) out_ += ' ';
    took_ascii();
    append(out_, c);
  }
  void compose() {
    const Tables& tables = Tables::get();
    parts_.clear();
    tables.apart(letter_, parts_);
    for (const char32_t mark : marks_) tables.apart(mark, parts_);
    marks_.clear();
    // In the order of their classes; those of one class stay as they stand. A few at most.
    for (std::size_t i = 2; i < parts_.size(); ++i) {
      for (std::size_t k = i; k > 1 && tables.mark(parts_[k - 1]) > tables.mark(parts_[k]); --k)
        std::swap(parts_[k - 1], parts_[k]);
    }
    char32_t letter = parts_[0];
    int blocked = 0;  // class of the last mark that stays
    std::size_t kept = 1;
    for (std::size_t i = 1; i < parts_.size(); ++i) {
      const int kind = tables.mark(parts_[i]);
      const char32_t whole = kind > blocked || kept == 1 ? tables.whole(letter, parts_[i]) : 0;
      if (whole != 0) {
        letter = whole;
      } else {
        blocked = kind;
        parts_[kept++] = parts_[i];
      }
    }
    write(letter);
    for (std::size_t i = 1; i < kept; ++i) write(parts_[i]);
  }

  std::string& out_;
  char32_t letter_ = 0;
  std::vector<char32_t> marks_, parts_;
  bool started_ = false;
  bool blank_ = false;
};

/// ASCII: what each byte becomes; 0: white space.
constexpr auto kAscii = [] {
  std::array<char, 128> out{};
  for (int c = 0x21; c < 0x7F; ++c)
    out[static_cast<std::size_t>(c)] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}();

}  // namespace

std::string normalised(std::string_view text) {
  const Tables& tables = Tables::get();
  std::string out;
  out.reserve(text.size());
  Composer composer(out);
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      ++at;
      const char c = kAscii[byte];
      const bool mark_may_follow = at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80;
      if (mark_may_follow) {
        composer.plain(c == 0 ? U' ' : static_cast<char32_t>(c));
        continue;
      }
      composer.flush();
      if (c == 0) {
        composer.want_blank();
        continue;
      }
      if (composer.blank_waits()) out += ' ';
      composer.took_ascii();
      out += c;
      continue;
    }
    const std::size_t length = utf8_length(text, at);
    const char32_t c = length == 0 ? 0xFFFD : decode(text, at, length);
    at += std::max<std::size_t>(length, 1);
    if (tables.plain(c)) {
      composer.plain(c);
    } else {
      tables.fold(c, [&](char32_t part) { composer.any(part); });
    }
  }
  composer.flush();
  return out;
}

}  // namespace asahi::memory::dedup
