#include "gateway/tokens/words.h"

#include <bit>

namespace asahi::gateway::tokens {
namespace {

constexpr std::uint64_t kSeed = 0xCBF29CE484222325U;
constexpr std::uint64_t kPrime = 0x100000001B3U;

std::uint64_t finished(std::uint64_t hash) {
  hash ^= hash >> 29;
  return hash == 0 ? 1 : hash;
}

/// ’ (U+2019) at `i`.
bool is_curly_apostrophe(std::string_view text, std::size_t i) {
  return text.substr(i, 3) == "\xE2\x80\x99";
}

}  // namespace

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = to_lower(c);
  return out;
}

std::uint64_t hash_of_word(std::string_view word) {
  std::uint64_t hash = kSeed;
  for (std::size_t i = 0; i < word.size(); ++i) {
    char c = to_lower(word[i]);
    if (word[i] == '\xE2' && is_curly_apostrophe(word, i)) {
      c = '\'';
      i += 2;
    }
    hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  }
  return finished(hash);
}

WordSet::WordSet(std::string_view words) {
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < words.size();) {
    while (i < words.size() && is_blank(words[i])) ++i;
    const std::size_t begin = i;
    while (i < words.size() && !is_blank(words[i])) ++i;
    if (i > begin) hashes.push_back(hash_of_word(words.substr(begin, i - begin)));
  }
  slots_.resize(std::bit_ceil(hashes.size() * 4 + 4));
  mask_ = slots_.size() - 1;
  for (const std::uint64_t hash : hashes) {
    std::size_t slot = hash & mask_;
    while (slots_[slot] != 0 && slots_[slot] != hash) slot = (slot + 1) & mask_;
    slots_[slot] = hash;
  }
}

const WordSet& stop_words() {
  static const WordSet words(
      "a about above after again against all also am an and any are as at be because been before "
      "being below between both but by can could did do does doing down during each either else "
      "even ever every few for from further had has have having he her here hers herself him "
      "himself his how however i if in into is it its itself just let like ll may me might more "
      "most much must my myself neither no nor not now of off on once only or other our ours out "
      "over own perhaps rather re s same shall she should since so some still such t than that the "
      "their theirs them themselves then there therefore these they this those though through "
      "thus to too under until up upon us ve very was we well were what when where whether which "
      "while who whom whose why will with within without would yet you your yours yourself "
      "yourselves it's you're we're i'm don't isn't aren't can't won't");
  return words;
}

std::vector<std::uint64_t> content_words(std::string_view text) {
  std::vector<std::uint64_t> words;
  const WordSet& stops = stop_words();
  for (std::size_t i = 0; i < text.size();) {
    const auto part = [](char c) {
      return is_letter(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80;
    };
    if (!part(text[i])) {
      ++i;
      continue;
    }
    std::uint64_t hash = kSeed;
    const std::size_t begin = i;
    for (; i < text.size() && part(text[i]); ++i)
      hash = (hash ^ static_cast<unsigned char>(to_lower(text[i]))) * kPrime;
    hash = finished(hash);
    if (i - begin > 1 && !stops.contains(hash)) words.push_back(hash);
  }
  return words;
}

std::int64_t count_words(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool part = !is_blank(c);
    words += static_cast<std::int64_t>(part && !inside);
    inside = part;
  }
  return words;
}

}  // namespace asahi::gateway::tokens
