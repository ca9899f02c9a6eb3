#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::gateway::tokens {

/// ASCII only: English is the one language whose sentences are looked into.
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) { return is_lower(c) || is_upper(c); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr char to_lower(char c) { return is_upper(c) ? static_cast<char>(c + 32) : c; }
constexpr char to_upper(char c) { return is_lower(c) ? static_cast<char>(c - 32) : c; }
std::string lowered(std::string_view text);

/// Of a word without regard to case; ’ counts as '. Never 0.
std::uint64_t hash_of_word(std::string_view word);

/// A fixed set of words, looked up by `hash_of_word`.
class WordSet {
 public:
  /// Words separated by blanks.
  explicit WordSet(std::string_view words);
  bool contains(std::uint64_t hash) const {
    for (std::size_t slot = hash & mask_;; slot = (slot + 1) & mask_) {
      if (slots_[slot] == hash) return true;
      if (slots_[slot] == 0) return false;
    }
  }
  bool contains(std::string_view word) const { return contains(hash_of_word(word)); }

 private:
  std::size_t mask_;
  std::vector<std::uint64_t> slots_;
};

/// Words that say nothing of a text's subject: articles, prepositions, pronouns, auxiliaries.
const WordSet& stop_words();

/// Hashes of the words that relevance looks at: runs of letters and digits, without stop words and
/// words of one letter (spec §3.10). In order, repeated as in the text.
std::vector<std::uint64_t> content_words(std::string_view text);

/// Words between blanks: what the token estimate counts.
std::int64_t count_words(std::string_view text);

}  // namespace asahi::gateway::tokens
