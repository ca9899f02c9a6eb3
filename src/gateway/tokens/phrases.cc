#include "gateway/tokens/phrases.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

#include "gateway/tokens/facts.h"
#include "gateway/tokens/phrase_list.h"
#include "gateway/tokens/words.h"

namespace asahi::gateway::tokens {
namespace {

struct Rule {
  std::vector<std::uint64_t> words;
  std::string_view replacement;
  bool at_start = false;     ///< only where a sentence begins
  bool comma = false;        ///< only with a comma behind
  bool at_clause = false;    ///< only where a clause begins
  bool intensifier = false;  ///< not behind a negation
};

template <class Each>
void each_line(std::string_view list, Each each) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\n'), list.size());
    std::string_view line = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
    if (!line.empty()) each(line);
  }
}

std::vector<std::uint64_t> hashes_of(std::string_view words) {
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < words.size();) {
    const std::size_t end = std::min(words.find(' ', i), words.size());
    if (end > i) hashes.push_back(hash_of_word(words.substr(i, end - i)));
    i = end + 1;
  }
  return hashes;
}

/// What may follow "it is essential", and what is left of both.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kBehindImportance = {{
    {" that you do not", "do not"},
    {" that you don't", "don't"},
    {" that you never", "never"},
    {" that you always", "always"},
    {" that you only", "only"},
    {" that you", ""},
    {" that", "ensure"},
    {" for you to", ""},
    {" to", ""},
}};

/// The rules by their first word, longest first.
class Rules {
 public:
  Rules() {
    each_line(kPhraseList, [&](std::string_view line) {
      if (line.starts_with('!')) {
        line.remove_prefix(1);
        for (const auto& [behind, replacement] : kBehindImportance)
          add(std::string(line) + std::string(behind), replacement);
        return;
      }
      Rule rule;
      rule.intensifier = line.starts_with('~');
      rule.at_start = line.starts_with('^');
      rule.at_clause = line.starts_with('&');
      if (rule.intensifier || rule.at_start || rule.at_clause) line.remove_prefix(1);
      const std::size_t arrow = std::min(line.find(" =>"), line.size());
      std::string_view words = line.substr(0, arrow);
      if (arrow + 4 < line.size()) rule.replacement = line.substr(arrow + 4);
      rule.comma = words.ends_with(',');
      if (rule.comma) words.remove_suffix(1);
      rule.words = hashes_of(words);
      by_first_[rule.words.front()].push_back(std::move(rule));
    });
    for (auto& [first, rules] : by_first_)
      std::ranges::sort(rules, std::greater{}, [](const Rule& r) { return r.words.size(); });
  }
  const std::vector<Rule>* starting_with(std::uint64_t word) const {
    const auto found = by_first_.find(word);
    return found == by_first_.end() ? nullptr : &found->second;
  }

 private:
  void add(std::string_view words, std::string_view replacement) {
    Rule rule;
    rule.words = hashes_of(words);
    rule.replacement = replacement;
    by_first_[rule.words.front()].push_back(std::move(rule));
  }
  std::unordered_map<std::uint64_t, std::vector<Rule>> by_first_;
};

const Rules& rules() {
  static const Rules all;
  return all;
}

struct Token {
  std::size_t begin, end;  ///< the word without marks
  std::uint64_t hash;      ///< 0: protected
  bool joined;             ///< nothing but blanks between it and the word before
  bool starts;             ///< begins a sentence
};

bool is_word_byte(char c) {
  return is_letter(c) || is_digit(c) || c == '\'' || c == '-' || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

void find_tokens(std::string_view text, std::vector<Token>& tokens) {
  std::vector<std::size_t> bounds;
  find_protected(text, bounds);
  std::size_t next = 0;
  bool joined = true, starts = true;
  for (std::size_t i = 0; i < text.size();) {
    if (next < bounds.size() && i >= bounds[next]) {
      tokens.push_back({bounds[next], bounds[next + 1], 0, false, false});
      i = bounds[next + 1];
      next += 2;
      joined = starts = false;
      continue;
    }
    if (!is_word_byte(text[i])) {
      if (!is_blank(text[i])) {
        joined = false;
        // A list marker, an opening mark and emphasis leave the sentence's beginning where it is.
        if (std::string_view("*-.)(#_").find(text[i]) == std::string_view::npos) starts = false;
      }
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && is_word_byte(text[i]) && !(next < bounds.size() && i >= bounds[next]))
      ++i;
    const std::string_view word = text.substr(begin, i - begin);
    const bool marker = starts && i < text.size() && (text[i] == '.' || text[i] == ')') &&
                        (word.size() == 1 || std::ranges::all_of(word, is_digit));
    const bool bullet = starts && !is_letter(word[0]) && !is_digit(word[0]);
    if (!marker && !bullet) {
      tokens.push_back({begin, i, hash_of_word(word), joined, starts});
      starts = false;
    }
    joined = true;
  }
}

bool is_negation(std::uint64_t hash) {
  static const WordSet words(
      "not no never isn't aren't wasn't weren't don't doesn't didn't won't wouldn't can't cannot "
      "couldn't shouldn't hardly without nor so too how as");
  return words.contains(hash);
}

/// "very much", "really well": the measure belongs to the word.
bool needs_measure(std::uint64_t hash) {
  static const WordSet words(
      "much many few little well best first same least most end beginning last");
  return words.contains(hash);
}

class Shortener {
 public:
  explicit Shortener(std::string_view text) : text_(text) { find_tokens(text, tokens_); }

  /// True when something was replaced.
  bool run(std::string& out) {
    bool changed = false;
    for (std::size_t i = 0; i < tokens_.size();) {
      const Rule* const rule = find(i);
      if (rule == nullptr && capital_ == false) {
        if (const std::size_t words = relative_clause(i); words > 0) {
          copy_to(tokens_[i].begin, out);
          at_ = tokens_[i + words].begin;
          i += words;
          changed = true;
          continue;
        }
      }
      if (rule == nullptr) {
        copy_to(tokens_[i].end, out);
        ++i;
        continue;
      }
      copy_to(tokens_[i].begin, out);
      apply(*rule, i, out);
      i += rule->words.size();
      changed = true;
    }
    copy_to(text_.size(), out);
    return changed;
  }

 private:
  const Rule* find(std::size_t i) const {
    if (tokens_[i].hash == 0) return nullptr;
    const auto* const starting = rules().starting_with(tokens_[i].hash);
    if (starting == nullptr) return nullptr;
    for (const Rule& rule : *starting) {
      if (rule.at_start && !tokens_[i].starts) continue;
      if (rule.at_clause && !tokens_[i].starts && (tokens_[i].joined || i == 0)) continue;
      if (i + rule.words.size() > tokens_.size()) continue;
      bool same = true;
      for (std::size_t k = 1; same && k < rule.words.size(); ++k)
        same = tokens_[i + k].hash == rule.words[k] && tokens_[i + k].joined;
      if (!same) continue;
      const std::size_t end = tokens_[i + rule.words.size() - 1].end;
      const char behind = end < text_.size() ? text_[end] : '.';
      if (rule.comma && behind != ',') continue;
      // What is left must go on in this sentence.
      if (rule.replacement.empty() && behind != ' ' && behind != ',' && behind != '\n') {
        // "It is true." is no opening; "I like it very much indeed." may end without its adverb.
        if (rule.at_start || rule.at_clause || i == 0) continue;
      }
      if (rule.intensifier && i > 0 && is_negation(tokens_[i - 1].hash)) continue;
      if (rule.intensifier && i + 1 < tokens_.size() && needs_measure(tokens_[i + 1].hash))
        continue;
      // Never the whole sentence.
      if (rule.replacement.empty() && rule.words.size() == tokens_.size()) continue;
      return &rule;
    }
    return nullptr;
  }

  /// Words of "which are" in "invoices which are sent to us", at `i`; 0: none that may go.
  std::size_t relative_clause(std::size_t i) const {
    static const WordSet relative("which that who"), be("is are was were"), have("has have had");
    static const std::uint64_t kBeen = hash_of_word("been"), kIt = hash_of_word("it");
    if (i == 0 || !relative.contains(tokens_[i].hash) || !tokens_[i].joined) return 0;
    // "The tools that they use", "ensure that you ask".
    static const WordSet link("that which"), subject("you we they i he she");
    static const WordSet needs_it(
        "in on of for to by with at from under over through about into upon than except given "
        "provided now such only not is are was were");
    if (link.contains(tokens_[i].hash) && i + 1 < tokens_.size() && tokens_[i + 1].joined &&
        subject.contains(tokens_[i + 1].hash) && !needs_it.contains(tokens_[i - 1].hash) &&
        tokens_[i - 1].hash != 0)
      return 1;
    std::size_t words = 2;
    const auto joined = [&](std::size_t k) {
      return i + k < tokens_.size() && tokens_[i + k].joined && tokens_[i + k].hash != 0;
    };
    if (!joined(1)) return 0;
    if (have.contains(tokens_[i + 1].hash) && joined(2) && tokens_[i + 2].hash == kBeen) {
      words = 3;
    } else if (!be.contains(tokens_[i + 1].hash)) {
      return 0;
    }
    if (!joined(words) || !joined(words + 1)) return 0;
    // "He said that was done", "the box in which are kept", "all that was found", "It was Ann who".
    static const WordSet no_noun(
        "in on of for to by with at from under over through about into all it so such and or but "
        "not than say says said saying think thinks thought know knows knew believe believes see "
        "sees saw hope feel feels felt mean means show shows claim claims note ensure sure make "
        "makes certain decide decides tell tells told explain mention state states is are was were "
        "be been if when this these that those everything something anything nothing what");
    if (no_noun.contains(tokens_[i - 1].hash) || tokens_[0].hash == kIt) return 0;
    static const WordSet irregular(
        "given found written made sent kept shown taken held built bought sold known drawn driven "
        "chosen hidden lost paid put read run seen set spent spoken told thrown understood worn "
        "brought caught cut grown hung laid left led lent meant met stored dealt");
    static const WordSet acting(
        "having coming looking working using waiting trying running living sitting standing "
        "asking reading playing writing making getting doing taking moving speaking visiting "
        "applying travelling traveling calling");
    static const WordSet behind(
        "to in by on at for from with of as into under below above over within between during "
        "through about after before inside");
    const std::uint64_t participle = tokens_[i + words].hash;
    const std::string_view word =
        text_.substr(tokens_[i + words].begin, tokens_[i + words].end - tokens_[i + words].begin);
    const bool passive =
        (word.size() > 4 && word.ends_with("ed")) || irregular.contains(participle);
    if (passive ? !behind.contains(tokens_[i + words + 1].hash) : !acting.contains(participle))
      return 0;
    return words;
  }

  void copy_to(std::size_t end, std::string& out) {
    if (end <= at_) return;
    std::string_view piece = text_.substr(at_, end - at_);
    if (capital_ && !piece.empty()) {
      std::size_t first = 0;
      while (first < piece.size() && is_blank(piece[first])) ++first;
      out += piece.substr(0, first);
      if (first < piece.size()) {
        out += to_upper(piece[first]);
        out += piece.substr(first + 1);
        capital_ = false;
      }
    } else {
      out += piece;
    }
    at_ = end;
  }

  void apply(const Rule& rule, std::size_t i, std::string& out) {
    const Token& first = tokens_[i];
    const bool was_capital = is_upper(text_[first.begin]) && (first.starts || capital_ || i == 0);
    at_ = tokens_[i + rule.words.size() - 1].end;
    if (!rule.replacement.empty()) {
      std::string words(rule.replacement);
      if (was_capital || capital_) words[0] = to_upper(words[0]);
      capital_ = false;
      out += words;
      return;
    }
    capital_ = capital_ || was_capital;
    if (rule.intensifier) mend_article(i, out);
    const bool comma_behind = at_ < text_.size() && text_[at_] == ',';
    const bool comma_before = out.ends_with(", ");
    if (comma_behind && (comma_before || first.starts || out.empty() || capital_ || rule.comma)) {
      ++at_;
      if (comma_before) out.replace(out.size() - 2, 2, " ");
    } else if (comma_behind && !out.empty() && out.back() == ' ') {
      out.pop_back();  // "a, b of course, c": the comma stays with what is before
    }
    // One blank of the two around what has gone.
    if (out.empty() || is_blank(out.back())) {
      while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    if (at_ < text_.size() &&
        std::string_view(".!?;:)").find(text_[at_]) != std::string_view::npos && out.ends_with(' '))
      out.pop_back();
  }

  /// "a very important" is "an important".
  void mend_article(std::size_t i, std::string& out) {
    if (i == 0 || i + 1 >= tokens_.size() || !tokens_[i].joined || !tokens_[i + 1].joined) return;
    static const std::uint64_t kA = hash_of_word("a"), kAn = hash_of_word("an");
    const char next = to_lower(text_[tokens_[i + 1].begin]);
    const bool vowel = std::string_view("aeio").find(next) != std::string_view::npos;
    if (tokens_[i - 1].hash == kA && vowel && out.ends_with("a ")) {
      out.insert(out.size() - 1, "n");
    } else if (tokens_[i - 1].hash == kAn && !vowel && next != 'u' && next != 'h' &&
               out.ends_with("n ")) {
      out.erase(out.size() - 2, 1);
    }
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  bool capital_ = false;
};

/// Runs of blanks become one, outside quotes and code.
std::string squeezed(std::string_view text) {
  std::string out;
  if (text.find("  ") == std::string_view::npos) return std::string(text);
  std::vector<std::size_t> bounds;
  find_protected(text, bounds);
  std::size_t next = 0;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    while (next < bounds.size() && i >= bounds[next + 1]) next += 2;
    const bool inside = next < bounds.size() && i >= bounds[next];
    if (!inside && text[i] == ' ' && out.ends_with(' ')) continue;
    out += text[i];
  }
  return out;
}

/// The same facts as often as before: no phrase may take a negation from one place because there is
/// another elsewhere.
bool same_facts(std::string_view before, std::string_view after) {
  std::vector<Fact> had, has;
  find_facts(before, had);
  find_facts(after, has);
  std::ranges::sort(had, {}, &Fact::hash);
  std::ranges::sort(has, {}, &Fact::hash);
  return std::ranges::includes(has, had, {}, &Fact::hash, &Fact::hash);
}

const std::vector<std::vector<std::uint64_t>>& filler_openings() {
  static const auto openings = [] {
    std::vector<std::vector<std::uint64_t>> all;
    each_line(kFillerOpenings, [&](std::string_view line) { all.push_back(hashes_of(line)); });
    return all;
  }();
  return openings;
}

}  // namespace

std::string shorten_phrases(std::string_view sentence) {
  std::string current = squeezed(sentence);
  // Two openings may stand one behind the other: "Please note that it is important to …".
  for (int round = 0; round < 3; ++round) {
    std::string shorter;
    shorter.reserve(current.size());
    if (!Shortener(current).run(shorter)) break;
    if (!same_facts(current, shorter)) break;
    current = std::move(shorter);
  }
  return current;
}

namespace {

/// Says what to do: a modal, or an imperative in front.
bool commands(const std::vector<Token>& tokens) {
  static const WordSet verbs(kImperatives);
  static const WordSet modals("should must shall need ought please ensure want wants expect if");
  for (const Token& token : tokens) {
    if (modals.contains(token.hash)) return true;
    if (token.starts && verbs.contains(token.hash)) return true;
  }
  return false;
}

}  // namespace

bool is_filler(std::string_view sentence) {
  std::vector<Token> tokens;
  find_tokens(sentence, tokens);
  if (tokens.empty()) return false;
  for (const auto& opening : filler_openings()) {
    if (opening.size() > tokens.size()) continue;
    bool same = true;
    for (std::size_t k = 0; same && k < opening.size(); ++k) same = tokens[k].hash == opening[k];
    // One-word openings ("Sure", "Perfect") only where nothing or a mark follows them.
    if (same && opening.size() == 1 && tokens.size() > 1 && tokens[1].joined) same = false;
    if (same) return true;
  }
  // "We are thankful for …": thanks of those who speak, not a request to thank somebody.
  static const WordSet speakers("we i it our my many");
  static const WordSet thanks(
      "thank thanks thankful grateful gratitude appreciate appreciated appreciation");
  static const WordSet passive_thanks("grateful gratitude appreciated appreciation thankful");
  static const WordSet speech(kSpeechMatters), mood(kMood);
  bool thanked = false, praised = false, spoken = false;
  for (const Token& token : tokens) {
    thanked |= speakers.contains(tokens[0].hash) ? thanks.contains(token.hash)
                                                 : passive_thanks.contains(token.hash);
    praised |= mood.contains(token.hash);
    spoken |= speech.contains(token.hash) || token.hash == 0;
  }
  if (thanked && (speakers.contains(tokens[0].hash) || !spoken)) return true;
  // Pep talk: "You've got this!", "Your energy is contagious!"
  if (praised && !spoken && sentence.ends_with('!') && !commands(tokens)) return true;
  static const WordSet puffery(kPuffery);
  std::size_t content = 0, empty = 0;
  for (const Token& token : tokens) {
    if (token.hash == 0) return false;
    if (stop_words().contains(token.hash)) continue;
    ++content;
    empty += static_cast<std::size_t>(puffery.contains(token.hash) || mood.contains(token.hash));
  }
  return content > 0 && empty * 3 >= content * 2;
}

bool is_mood(std::string_view sentence) {
  static const WordSet mood(kMood), speech(kSpeechMatters),
      listener("you your yours yourself you're");
  std::vector<Token> tokens;
  find_tokens(sentence, tokens);
  bool found = false;
  for (const Token& token : tokens) {
    if (token.hash == 0 || listener.contains(token.hash) || speech.contains(token.hash))
      return false;
    found |= mood.contains(token.hash);
  }
  return found;
}

bool is_instruction(std::string_view sentence) {
  static const WordSet verbs(kImperatives);
  static const WordSet modals(
      "should must shall need ought please ensure let's want wants expect expected expects would "
      "prefer prefers suppose supposed if");
  static const std::uint64_t kYou = hash_of_word("you"), kYour = hash_of_word("your"),
                             kAre = hash_of_word("are"), kWill = hash_of_word("will"),
                             kSure = hash_of_word("sure"), kMake = hash_of_word("make");
  std::vector<Token> tokens;
  find_tokens(sentence, tokens);
  // Up to the first verb: "When asked, explain …", "Then write …".
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::uint64_t hash = tokens[i].hash;
    if (modals.contains(hash)) return true;
    if ((tokens[i].starts || !tokens[i].joined || i == 1) && verbs.contains(hash)) return true;
    if (i == 0 && (hash == kYou || hash == kYour)) return true;
    if (i > 0 && tokens[i - 1].hash == kYou && (hash == kAre || hash == kWill)) return true;
    if (i > 0 && tokens[i - 1].hash == kMake && hash == kSure) return true;
  }
  return false;
}

}  // namespace asahi::gateway::tokens
