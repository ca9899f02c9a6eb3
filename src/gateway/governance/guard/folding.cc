#include "gateway/governance/guard/folding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/utf8.h"

namespace asahi::gateway {
namespace {

constexpr char kGone = '\x01';  // zero-width
constexpr char kBlank = ' ';
constexpr char kNewline = '\n';

/// ASCII: letters to lower case, controls and blanks to a blank.
constexpr auto kAscii = [] {
  std::array<char, 128> table{};
  for (int c = 0; c < 128; ++c) {
    table[static_cast<std::size_t>(c)] = c >= 'A' && c <= 'Z'     ? static_cast<char>(c + 32)
                                         : c == '\n' || c == '\r' ? kNewline
                                         : c <= ' ' || c == 127   ? kBlank
                                                                  : static_cast<char>(c);
  }
  return table;
}();

/// Look-alikes of Latin letters, by code point (a selection of Unicode's confusables.txt).
constexpr std::pair<char32_t, char> kLookAlikes[] = {
    {0x0131, 'i'}, {0x0251, 'a'}, {0x0261, 'g'}, {0x0262, 'g'}, {0x026A, 'i'}, {0x0274, 'n'},
    {0x0280, 'r'}, {0x028F, 'y'}, {0x029C, 'h'}, {0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'},
    {0x0396, 'z'}, {0x0397, 'h'}, {0x0399, 'i'}, {0x039A, 'k'}, {0x039C, 'm'}, {0x039D, 'n'},
    {0x039F, 'o'}, {0x03A1, 'p'}, {0x03A4, 't'}, {0x03A5, 'y'}, {0x03A7, 'x'}, {0x03B1, 'a'},
    {0x03B3, 'y'}, {0x03B5, 'e'}, {0x03B9, 'i'}, {0x03BA, 'k'}, {0x03BD, 'v'}, {0x03BF, 'o'},
    {0x03C1, 'p'}, {0x03C3, 'o'}, {0x03C4, 't'}, {0x03C5, 'u'}, {0x03C7, 'x'}, {0x0405, 's'},
    {0x0406, 'i'}, {0x0408, 'j'}, {0x0410, 'a'}, {0x0412, 'b'}, {0x0415, 'e'}, {0x041A, 'k'},
    {0x041C, 'm'}, {0x041D, 'h'}, {0x041E, 'o'}, {0x0420, 'p'}, {0x0421, 'c'}, {0x0422, 't'},
    {0x0423, 'y'}, {0x0425, 'x'}, {0x0430, 'a'}, {0x0432, 'b'}, {0x0435, 'e'}, {0x043A, 'k'},
    {0x043C, 'm'}, {0x043D, 'h'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'},
    {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'}, {0x04BB, 'h'},
    {0x0501, 'd'}, {0x051B, 'q'}, {0x051D, 'w'}, {0x0578, 'n'}, {0x057D, 'u'}, {0x0585, 'o'},
};

/// U+00C0 to U+017F: the letter under the accent; '.': not a letter.
constexpr std::string_view kAccented =
    "aaaaaaaceeeeiiiidnooooo.ouuuuyts"   // U+00C0
    "aaaaaaaceeeeiiiidnooooo.ouuuuyty"   // U+00E0
    "aaaaaaccccccccddddeeeeeeeeeegggg"   // U+0100
    "gggghhhhiiiiiiiiiiiijjkkklllllll"   // U+0120
    "lllnnnnnnnnnoooooooorrrrrrssssss"   // U+0140
    "ssttttttuuuuuuuuuuuuwwyyyzzzzzzs";  // U+0160

/// The ASCII character a code point is read as, kGone, kBlank, or 0 for one that stays as it is.
char folded(char32_t c) {
  if (c >= 0xC0 && c < 0x180) {
    const auto at = static_cast<std::size_t>(c - 0xC0);
    return kAccented[at] == '.' ? '\0' : kAccented[at];
  }
  if (c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F ||
      c == 0x3000) {
    return kBlank;
  }
  if (c == 0x2028 || c == 0x2029 || c == 0x85) return kNewline;
  if (c == 0xAD || c == 0x34F || c == 0x61C || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
      (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF ||
      (c >= 0x300 && c <= 0x36F) || (c >= 0xFE00 && c <= 0xFE0F) ||
      (c >= 0xE0000 && c <= 0xE01EF)) {
    return kGone;
  }
  if (c == 0x2018 || c == 0x2019) return '\'';
  if (c >= 0xFF01 && c <= 0xFF5E) return kAscii[static_cast<std::size_t>(c - 0xFF01 + 0x21)];
  if (c >= 0x1D400 && c <= 0x1D6A3) {  // mathematical alphabets, 52 letters each
    return static_cast<char>('a' + (c - 0x1D400) % 26);
  }
  if (c >= 0x24B6 && c <= 0x24E9) return static_cast<char>('a' + (c - 0x24B6) % 26);  // circled
  const auto* found =
      std::lower_bound(std::begin(kLookAlikes), std::end(kLookAlikes), c,
                       [](const auto& row, char32_t code) { return row.first < code; });
  return found != std::end(kLookAlikes) && found->first == c ? found->second : '\0';
}

constexpr std::size_t kBlock = 16;

/// Folds the sixteen characters at `text` to `to` when they are what most text is: printable ASCII
/// without two blanks in a row. `before` is the character in front of them.
bool fold_block(const char* text, char before, char* to) {
  using Bytes = signed char __attribute__((vector_size(kBlock)));
  using Halves = std::uint64_t __attribute__((vector_size(kBlock)));
  Bytes bytes;
  std::memcpy(&bytes, text, kBlock);
  std::array<char, kBlock> shifted;
  shifted[0] = before == kNewline ? kBlank : before;
  std::memcpy(shifted.data() + 1, text, kBlock - 1);
  Bytes previous;
  std::memcpy(&previous, shifted.data(), kBlock);
  const auto special =
      (Halves)((bytes < kBlank) | (bytes == 127) | ((bytes == kBlank) & (previous == kBlank)));
  if ((special[0] | special[1]) != 0) return false;
  bytes += (Bytes)((bytes >= 'A') & (bytes <= 'Z')) & ('a' - 'A');
  std::memcpy(to, &bytes, kBlock);
  return true;
}

char32_t code_point(std::string_view bytes) {
  const auto tail = [&](std::size_t i) { return static_cast<char32_t>(bytes[i]) & 0x3FU; };
  const auto head = static_cast<char32_t>(static_cast<unsigned char>(bytes[0]));
  switch (bytes.size()) {
    case 2:
      return (head & 0x1FU) << 6 | tail(1);
    case 3:
      return (head & 0x0FU) << 12 | tail(1) << 6 | tail(2);
    default:
      return (head & 0x07U) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
  }
}

}  // namespace

void append_folded(std::string& out, std::string_view text) {
  const std::size_t start = out.size();
  out.resize(start + text.size());
  char* to = out.data() + start;
  char* const begin = to;
  const auto put = [&](char c) {
    if (c == kBlank || c == kNewline) {
      if (to > begin && (to[-1] == kBlank || to[-1] == kNewline)) {
        if (c == kNewline) to[-1] = kNewline;
        return;
      }
    }
    *to++ = c;
  };
  std::size_t next_block = 0;  // what is no such text mostly goes on like that
  for (std::size_t i = 0; i < text.size();) {
    if (i >= next_block && i + kBlock <= text.size()) {
      if (fold_block(text.data() + i, to > begin ? to[-1] : '\0', to)) {
        i += kBlock;
        to += kBlock;
        continue;
      }
      next_block = i + kBlock;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      const char c = kAscii[byte];
      if (c > kBlank) {
        *to++ = c;
      } else {
        put(c);
      }
      ++i;
      continue;
    }
    const std::size_t length = utf8_length(text, i);
    if (length == 0) {
      *to++ = text[i++];
      continue;
    }
    const char c = folded(code_point(text.substr(i, length)));
    if (c == '\0') {
      to = std::copy_n(text.data() + i, length, to);
    } else if (c != kGone) {
      put(c);
    }
    i += length;
  }
  out.resize(static_cast<std::size_t>(to - out.data()));
}

}  // namespace asahi::gateway
