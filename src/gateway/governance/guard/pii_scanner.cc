#include "gateway/governance/guard/pii_scanner.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>

namespace asahi::gateway {
namespace {

bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }
bool is_letter(char c) { return static_cast<unsigned char>((c | 32) - 'a') < 26; }
bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '_'; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
/// First byte of U+00C0 to U+024F: letters of European names.
bool leads_latin(char c) {
  return static_cast<unsigned char>(c) >= 0xC3 && static_cast<unsigned char>(c) <= 0xC9;
}
bool is_local(char c) {
  return is_word(c) || c == '.' || c == '%' || c == '+' || c == '-' || c == '\'';
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; }

/// Past the whole blocks from `at` on that hold neither digit nor '@'.
template <std::size_t kBlock>
std::size_t skip_clean_blocks(std::string_view text, std::size_t at) {
  const char* p = text.data();
  while (at + kBlock <= text.size()) {
    std::uint8_t any = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      const auto c = static_cast<std::uint8_t>(p[at + i]);
      any = static_cast<std::uint8_t>(any | (static_cast<std::uint8_t>(c - '0') < 10) | (c == '@'));
    }
    if (any != 0) break;
    at += kBlock;
  }
  return at;
}

/// The next digit or '@' from `at` on. Blocks without any cost a few cycles: most text is clean.
std::size_t next_anchor(std::string_view text, std::size_t at) {
  at = skip_clean_blocks<64>(text, at);
  at = skip_clean_blocks<16>(text, at);
  while (at < text.size() && !is_digit(text[at]) && text[at] != '@') ++at;
  return at;
}

/// True when one of the words ends within `reach` bytes before `end`, as a word of its own.
bool has_word_before(std::string_view text, std::size_t end, std::size_t reach,
                     std::initializer_list<std::string_view> words) {
  const std::size_t begin = end > reach ? end - reach : 0;
  const std::string_view window = text.substr(begin, end - begin);
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (i > 0 && (is_letter(window[i - 1]))) continue;
    for (const std::string_view word : words) {
      if (window.size() - i < word.size()) continue;
      std::size_t same = 0;
      while (same < word.size() && lower(window[i + same]) == word[same]) ++same;
      if (same == word.size() && (i + same == window.size() || !is_letter(window[i + same]))) {
        return true;
      }
    }
  }
  return false;
}

bool speaks_of_phones(std::string_view text, std::size_t begin) {
  return has_word_before(text, begin, 40,
                         {"phone", "phones",   "telephone", "tel",  "call", "mobile", "cell",
                          "fax",   "whatsapp", "sms",       "text", "dial", "reach",  "ring",
                          "handy", "telefon",  "telefono",  "tlf",  "手机", "电话"});
}

bool speaks_of_ids(std::string_view text, std::size_t begin) {
  return has_word_before(
      text, begin, 24,
      {"id",       "ids",     "uid",    "uuid",      "order",     "invoice", "ticket", "isbn",
       "issn",     "sku",     "ref",    "reference", "timestamp", "epoch",   "unix",   "time",
       "case",     "issue",   "commit", "user",      "item",      "product", "code",   "serial",
       "tracking", "account", "build",  "version",   "port",      "seed",    "hash",   "row",
       "int",      "bytes",   "size",   "total",     "count",     "sum"});
}

bool luhn_holds(const std::array<std::uint8_t, 16>& digits, std::size_t count) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    unsigned value = digits[count - 1 - i];
    if (i % 2 == 1 && (value *= 2) > 9) value -= 9;
    sum += value;
  }
  return sum % 10 == 0;
}

std::size_t digits_end(std::string_view text, std::size_t begin) {
  while (begin < text.size() && is_digit(text[begin])) ++begin;
  return begin;
}

int value_of(std::string_view digits) {
  int value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

/// A run of digits within a number that is written in groups.
struct Group {
  enum class Join : std::uint8_t { kNone, kSpace, kDash, kDot } join = Join::kNone;
  std::size_t begin = 0, end = 0;
  bool bracketed = false;
  std::size_t size() const { return end - begin; }
};

struct Groups {
  static constexpr std::size_t kMost = 8;
  std::array<Group, kMost> all{};
  std::size_t count = 0;

  std::size_t digits(std::size_t n) const {
    std::size_t total = 0;
    for (std::size_t i = 0; i < n; ++i) total += all[i].size();
    return total;
  }
  bool sizes(std::size_t n, std::initializer_list<std::size_t> expected) const {
    return n == expected.size() &&
           std::equal(expected.begin(), expected.end(), all.begin(),
                      [](std::size_t size, const Group& group) { return group.size() == size; });
  }
  bool any_bracket(std::size_t n) const {
    return std::any_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n),
                       [](const Group& group) { return group.bracketed; });
  }
  bool any_join(std::size_t n, Group::Join join) const {
    return std::any_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n),
                       [&](const Group& group) { return group.join == join; });
  }
};

/// Groups joined by one of blank, dash, dot, or a bracket with a blank or dash beside it.
Groups read_groups(std::string_view text, std::size_t begin, bool bracket_open) {
  Groups groups;
  std::size_t at = begin;
  Group::Join join = Group::Join::kNone;
  while (groups.count < Groups::kMost) {
    Group& group = groups.all[groups.count++];
    group = {.join = join, .begin = at, .end = digits_end(text, at), .bracketed = bracket_open};
    at = group.end;
    if (bracket_open) {
      if (at >= text.size() || text[at] != ')') {
        group.bracketed = false;
        break;
      }
      ++at;
      bracket_open = false;
    }
    join = Group::Join::kSpace;
    std::size_t next = at;
    if (next < text.size() && (text[next] == ' ' || text[next] == '-' || text[next] == '.')) {
      join = text[next] == '-'   ? Group::Join::kDash
             : text[next] == '.' ? Group::Join::kDot
                                 : Group::Join::kSpace;
      ++next;
    } else if (text.substr(next).starts_with("\xC2\xA0")) {  // no-break space
      next += 2;
    } else if (next == group.end && (next >= text.size() || text[next] != '(')) {
      break;
    }
    if (next < text.size() && text[next] == '(') {
      bracket_open = true;
      ++next;
    }
    if (next >= text.size() || !is_digit(text[next])) break;
    at = next;
  }
  return groups;
}

/// Number of groups that a calendar date takes up at the front; 0: none.
std::size_t date_groups(std::string_view text, const Groups& groups) {
  if (groups.count < 3) return 0;
  const auto value = [&](std::size_t i) {
    const Group& group = groups.all[i];
    return group.size() > 4 ? 9999 : value_of(text.substr(group.begin, group.size()));
  };
  const auto is_year = [&](std::size_t i) {
    return groups.all[i].size() == 4 && value(i) >= 1900 && value(i) < 2100;
  };
  const auto is_day = [&](std::size_t i) { return groups.all[i].size() <= 2 && value(i) <= 31; };
  if (is_year(0) && is_day(1) && is_day(2)) return 3;
  return is_day(0) && is_day(1) && is_year(2) ? 3 : 0;
}

/// Whole numbers of computing that look like North American phone numbers.
bool is_power_of_two_bound(std::string_view digits) {
  return digits == "4294967295" || digits == "4294967296" || digits == "2147483647" ||
         digits == "2147483648";
}

}  // namespace

bool PiiScanner::is_chained(std::size_t begin) const {
  if (begin < floor_ + 2) return false;
  const char joint = text_[begin - 1];
  return (joint == '-' || joint == '.' || joint == '/') && is_digit(text_[begin - 2]);
}

bool PiiScanner::ends_clean(std::size_t end) const {
  const char next = at(end);
  if (is_word(next) || next == '%') return false;
  const bool joins = next == '.' || next == ',' || next == ':' || next == '/' || next == '-';
  return !(joins && is_digit(at(end + 1))) && !(next == '-' && is_letter(at(end + 1)));
}

std::optional<std::size_t> PiiScanner::domain_end(std::size_t begin) const {
  constexpr std::size_t kLongest = 255;
  const std::size_t limit = std::min(text_.size(), begin + kLongest);
  std::optional<std::size_t> end;
  std::size_t label = begin;
  for (int labels = 1;; ++labels) {
    std::size_t i = label, letters = label;
    while (i < limit && (is_letter(text_[i]) || is_digit(text_[i]) || text_[i] == '-' ||
                         (leads_latin(text_[i]) && i + 1 < limit) ||
                         (is_continuation(text_[i]) && i > label && leads_latin(text_[i - 1])))) {
      ++i;
    }
    if (i == label) break;
    while (letters < i && is_letter(text_[letters])) ++letters;
    if (labels > 1) {
      if (text_.substr(label).starts_with("xn--")) {
        end = i;
      } else if (letters - label >= 2 && !is_word(at(letters))) {
        end = letters;
      }
    }
    if (i >= limit || text_[i] != '.') break;
    label = i + 1;
  }
  return end;
}

std::optional<PiiScanner::Hit> PiiScanner::email(std::size_t at_sign) const {
  constexpr std::size_t kLongest = 64;
  const std::size_t floor = std::max(floor_, at_sign > kLongest ? at_sign - kLongest : 0);
  std::size_t begin = at_sign;
  while (begin > floor) {
    if (is_local(text_[begin - 1])) {
      --begin;
    } else if (begin > floor + 1 && is_continuation(text_[begin - 1]) &&
               leads_latin(text_[begin - 2])) {
      begin -= 2;
    } else {
      break;
    }
  }
  while (begin < at_sign && (text_[begin] == '.' || text_[begin] == '-' || text_[begin] == '\'')) {
    ++begin;
  }
  if (begin == at_sign) {
    // A local part in another script: up to the blank before it.
    while (begin > floor && static_cast<unsigned char>(text_[begin - 1]) >= 0x80) --begin;
    while (begin < at_sign && is_continuation(text_[begin])) ++begin;
    if (begin == at_sign) return std::nullopt;
  }
  const auto end = domain_end(at_sign + 1);
  if (!end) return std::nullopt;
  return Hit{begin, *end, PiiType::kEmail};
}

bool PiiScanner::in_email(std::size_t end) const {
  constexpr std::size_t kLongest = 64;
  std::size_t i = end;
  while (i < text_.size() && i - end < kLongest && is_local(text_[i])) ++i;
  return at(i) == '@' && domain_end(i + 1).has_value();
}

std::optional<std::size_t> PiiScanner::card(std::size_t begin) const {
  if (at(begin) < '2' || at(begin) > '6') return std::nullopt;  // the issuers' first digits
  const bool amex = at(begin) == '3' && (at(begin + 1) == '4' || at(begin + 1) == '7');
  const std::size_t length = amex ? 15 : 16;
  const auto ends_group = [&](std::size_t count) {
    return amex ? count == 4 || count == 10 : count % 4 == 0 && count < 16;
  };
  std::array<std::uint8_t, 16> digits{};
  std::size_t count = 0, i = begin;
  for (; count < length; ++i) {
    const char c = at(i);
    if (is_digit(c)) {
      digits[count++] = static_cast<std::uint8_t>(c - '0');
    } else if ((c != ' ' && c != '-') || !ends_group(count) || !is_digit(at(i - 1))) {
      return std::nullopt;
    }
  }
  const char next = at(i);
  if (is_word(next) || ((next == '-' || next == '.') && is_digit(at(i + 1)))) return std::nullopt;
  if (!luhn_holds(digits, length)) return std::nullopt;
  return i;
}

std::optional<std::size_t> PiiScanner::ssn(std::size_t begin, std::size_t run_end) const {
  const auto valid = [&](std::size_t area, std::size_t group, std::size_t serial) {
    const auto three = text_.substr(area, 3);
    return three != "000" && three != "666" && text_.substr(group, 2) != "00" &&
           text_.substr(serial, 4) != "0000";
  };
  const auto named = [&] {
    return has_word_before(text_, begin, 40, {"ssn", "social security", "ssns", "itin"});
  };
  if (run_end - begin == 9) {
    return valid(begin, begin + 3, begin + 5) && !is_word(at(run_end)) && named()
               ? std::optional(run_end)
               : std::nullopt;
  }
  if (run_end - begin != 3) return std::nullopt;
  const char joint = at(begin + 3);
  if ((joint != '-' && joint != ' ') || at(begin + 6) != joint) return std::nullopt;
  const std::size_t end = begin + 11;
  if (digits_end(text_, begin + 4) != begin + 6 || digits_end(text_, begin + 7) != end) {
    return std::nullopt;
  }
  if (is_word(at(end)) || (at(end) == '-' && is_word(at(end + 1)))) return std::nullopt;
  if (!valid(begin, begin + 4, begin + 7) || (joint == ' ' && !named())) return std::nullopt;
  return end;
}

std::optional<std::size_t> PiiScanner::ipv4(std::size_t begin) const {
  std::size_t i = begin;
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0 && at(i++) != '.') return std::nullopt;
    const std::size_t end = digits_end(text_, i);
    const std::size_t size = end - i;
    if (size < 1 || size > 3 || (size > 1 && text_[i] == '0')) return std::nullopt;
    if (value_of(text_.substr(i, size)) > 255) return std::nullopt;
    i = end;
  }
  const char next = at(i);
  if (is_word(next) || (next == '.' && is_word(at(i + 1))) ||
      (next == '-' && is_letter(at(i + 1)))) {
    return std::nullopt;
  }
  // "version 1.2.3.4", "Chrome/120.0.6.1"
  if (before(begin) == '/' && begin > floor_ + 1 && is_letter(text_[begin - 2]))
    return std::nullopt;
  if (has_word_before(text_, begin, 12, {"version", "ver", "v", "release", "build", "rev"})) {
    return std::nullopt;
  }
  return i;
}

std::optional<PiiScanner::Hit> PiiScanner::phone(std::size_t first) {
  std::size_t begin = first;
  const bool bracket = before(begin) == '(';
  if (bracket) --begin;
  const bool plus = before(begin) == '+';
  if (plus) --begin;
  const Groups groups = read_groups(text_, first, bracket);
  // "(12" without its end is no bracket of a phone number.
  if (bracket && !groups.all[0].bracketed && !plus) begin = first;
  if (!plus) {
    if (const std::size_t date = date_groups(text_, groups); date > 0) {
      at_ = groups.all[date - 1].end;
      return std::nullopt;
    }
    const char previous = before(begin);
    if (is_word(previous) || previous == '$' || previous == '/' || previous == '#' ||
        previous == '%') {
      return std::nullopt;
    }
    if ((previous == '-' || previous == '.') && begin > floor_ + 1 && is_word(text_[begin - 2])) {
      return std::nullopt;
    }
    const std::string_view head = text_.substr(0, begin);
    if (head.ends_with("€") || head.ends_with("£") || head.ends_with("¥")) return std::nullopt;
  }
  using Join = Group::Join;
  const char d0 = text_[first];
  // Looked up only for numbers long enough.
  std::optional<bool> spoken;
  const auto phones = [&] {
    if (!spoken) spoken = speaks_of_phones(text_, begin);
    return *spoken;
  };
  const auto matches = [&](std::size_t n) {
    const std::size_t total = groups.digits(n);
    if (total < 10 || total > 15) return false;
    if (plus) return d0 != '1' || total == 11;
    const std::string_view run = text_.substr(first, groups.all[0].size());
    if (n == 1) {
      if (phones()) return true;
      if (speaks_of_ids(text_, begin)) return false;
      if (total == 10) {
        return d0 >= '2' ? run[3] >= '2' && !is_power_of_two_bound(run)
                         : d0 == '0' && run[1] != '0';
      }
      return total == 11 && ((d0 == '1' && run[1] >= '2') || (d0 == '0' && run[1] != '0'));
    }
    const bool dots = groups.any_join(n, Join::kDot);
    if (groups.sizes(n, {3, 3, 4})) {
      return d0 >= '2' || dots || groups.any_join(n, Join::kDash) || groups.any_bracket(n) ||
             phones();
    }
    if (d0 == '1' && groups.sizes(n, {1, 3, 3, 4})) return true;
    if (dots) {
      return d0 == '0' && groups.sizes(n, {2, 2, 2, 2, 2});
    }
    if (d0 == '1' && (groups.sizes(n, {3, 4, 4}) || groups.sizes(n, {1, 3, 7}))) return true;
    const std::size_t last = groups.all[n - 1].size();
    if (d0 == '0' && groups.all[0].size() >= 2 && last >= 2) {
      const bool international = run.starts_with("00");
      std::array<bool, 10> seen{};
      for (std::size_t i = first; i < groups.all[n - 1].end; ++i) {
        if (is_digit(text_[i])) seen[static_cast<std::size_t>(text_[i] - '0')] = true;
      }
      return (international ? total >= 11 : total <= 11) && std::ranges::count(seen, true) >= 3;
    }
    if (groups.any_bracket(n) && last >= 3) {
      return !std::ranges::any_of(groups.all, [&](const Group& group) {
        return group.bracketed && (group.size() > 5 || group.size() < 2 ||
                                   (group.size() == 4 && text_[group.begin] <= '2'));
      });
    }
    return phones();
  };
  for (std::size_t n = groups.count; n >= 1; --n) {
    const std::size_t end = groups.all[n - 1].end;
    if (!matches(n) || !ends_clean(end)) continue;
    if (in_email(end)) return std::nullopt;
    return Hit{begin, end, PiiType::kPhone};
  }
  return std::nullopt;
}

std::optional<PiiScanner::Hit> PiiScanner::number(std::size_t begin, std::size_t run_end) {
  at_ = run_end;
  if (is_word(before(begin))) return std::nullopt;
  if (is_chained(begin)) return std::nullopt;
  const std::size_t run = run_end - begin;
  if (run == 4 || run >= 15) {
    if (const auto end = card(begin)) return Hit{begin, *end, PiiType::kCard};
  }
  if (run == 3 || run == 9) {
    if (const auto end = ssn(begin, run_end)) return Hit{begin, *end, PiiType::kSsn};
  }
  if (run <= 3 && at(run_end) == '.') {
    if (const auto end = ipv4(begin); end && !in_email(*end)) return Hit{begin, *end, PiiType::kIp};
  }
  return phone(begin);
}

std::optional<PiiScanner::Hit> PiiScanner::next() {
  while ((at_ = next_anchor(text_, at_)) < text_.size()) {
    std::optional<Hit> hit;
    if (text_[at_] == '@') {
      hit = email(at_++);
    } else {
      hit = number(at_, digits_end(text_, at_));
    }
    if (!hit) continue;
    at_ = floor_ = hit->end;
    return hit;
  }
  return std::nullopt;
}

}  // namespace asahi::gateway
