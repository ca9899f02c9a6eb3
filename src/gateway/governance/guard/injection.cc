#include "gateway/governance/guard/injection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <cstring>
#include <utility>

#include "gateway/governance/guard/folding.h"
#include "gateway/governance/guard/injection_phrases.h"
#include "gateway/governance/guard/request_texts.h"

namespace asahi::gateway {
namespace {

constexpr std::size_t kMaxWords = 1024;  // of the phrases' vocabulary, far fewer in fact
constexpr std::size_t kMaxWordSize = 24;
constexpr std::size_t kStarReach = 64;  // characters that "*" may stand for

using WordId = std::uint16_t;  // 0: a word of no phrase
using WordSet = std::bitset<kMaxWords>;

constexpr auto kWordByte = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    table[c] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
  }
  return table;
}();
bool is_word_byte(char c) { return kWordByte[static_cast<unsigned char>(c)]; }

/// Where the words of a text stand, as one bit for each byte: most of the way from word to word is
/// then counting zeros.
class WordBits {
 public:
  void read(std::string_view text) {
    size_ = text.size();
    bits_.assign(size_ / 64 + 1, 0);
    std::size_t i = 0;
    for (; i + 8 <= size_; i += 8) bits_[i / 64] |= eight(text.data() + i) << (i % 64);
    for (; i < size_; ++i) bits_[i / 64] |= std::uint64_t{is_word_byte(text[i])} << (i % 64);
  }
  /// The first place at or behind `at` that belongs to a word, or that does not; else the end.
  std::size_t next_word(std::size_t at) const { return next(at, 0); }
  std::size_t word_end(std::size_t at) const { return next(at, ~std::uint64_t{0}); }
  std::size_t capacity() const { return bits_.capacity(); }
  void give_back() { bits_ = {}; }

 private:
  std::size_t next(std::size_t at, std::uint64_t flip) const {
    if (at >= size_) return size_;
    std::size_t word = at / 64;
    std::uint64_t rest = (bits_[word] ^ flip) & (~std::uint64_t{0} << (at % 64));
    while (rest == 0) {
      if (++word == bits_.size()) return size_;
      rest = bits_[word] ^ flip;
    }
    return std::min(word * 64 + static_cast<std::size_t>(std::countr_zero(rest)), size_);
  }

  /// kWordByte of eight bytes: in the highest bit of each, then gathered (Bit Twiddling Hacks).
  static std::uint64_t eight(const char* text) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHighs = 0x8080808080808080U;
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text, sizeof bytes);
    const std::uint64_t low = bytes & ~kHighs;
    const auto from = [low](char c) { return low + kOnes * static_cast<std::uint64_t>(0x80 - c); };
    const std::uint64_t letters = from('a') & ~from('z' + 1);
    const std::uint64_t digits = from('0') & ~from('9' + 1);
    return (((letters | digits | bytes) & kHighs) >> 7) * 0x0102040810204080U >> 56;
  }
  static_assert(std::endian::native == std::endian::little);

  std::vector<std::uint64_t> bits_;
  std::size_t size_ = 0;
};

struct Phrase {
  InjectionGroup group;
  struct Element {
    WordSet words;
    unsigned gap = 0;  ///< other words allowed before it
  };
  std::vector<Element> elements;

  /// True when the phrase begins at `start`. Bit p of `reached`: the element before ended p words
  /// on.
  bool matches(const std::vector<WordId>& words, std::size_t start) const {
    std::uint64_t reached = 1;
    for (std::size_t k = 1; k < elements.size(); ++k) {
      std::uint64_t candidates = 0, found = 0;
      for (unsigned step = 1; step <= elements[k].gap + 1; ++step) candidates |= reached << step;
      for (; candidates != 0; candidates &= candidates - 1) {
        const auto p = static_cast<std::size_t>(std::countr_zero(candidates));
        if (start + p >= words.size()) break;
        if (elements[k].words.test(words[start + p])) found |= std::uint64_t{1} << p;
      }
      if (found == 0) return false;
      reached = found;
    }
    return true;
  }
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// Ends of all places where the pieces stand one after the other, each at most kStarReach behind
/// the one before. Linear in the text for each piece: the places of one piece are merged with those
/// of the next.
bool has_pieces(std::string_view text, const std::vector<std::string>& pieces) {
  std::vector<std::uint32_t> ends;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    std::vector<std::uint32_t> next;
    std::size_t e = 0;
    for (std::size_t at = text.find(pieces[k]); at != std::string_view::npos;
         at = text.find(pieces[k], at + 1)) {
      if (k > 0) {
        while (e < ends.size() && ends[e] + kStarReach < at) ++e;
        if (e == ends.size()) break;
        if (ends[e] > at) continue;
      }
      if (k + 1 == pieces.size()) return true;
      next.push_back(static_cast<std::uint32_t>(at + pieces[k].size()));
    }
    if (next.empty()) return false;
    ends = std::move(next);
  }
  return false;
}

/// A line that begins as a chat transcript's line of the system or the assistant does. A last
/// "assistant:" with nothing behind it only asks for the answer.
bool has_role_line(std::string_view text) {
  for (std::size_t line = 0; line < text.size();) {
    std::size_t at = line;
    while (at < text.size() && std::string_view(" #>*-[<|_").contains(text[at])) ++at;
    const std::string_view rest = text.substr(at);
    const std::string_view role = rest.starts_with("system")      ? "system"
                                  : rest.starts_with("assistant") ? "assistant"
                                                                  : "";
    if (!role.empty()) {
      at += role.size();
      while (at < text.size() && std::string_view(" *]>|_").contains(text[at])) ++at;
      if (at < text.size() && text[at] == ':') {
        const bool cue =
            role == "assistant" && text.find_first_not_of(" \n*:_", at) == std::string_view::npos;
        if (!cue) return true;
      }
    }
    const std::size_t end = text.find('\n', line);
    if (end == std::string_view::npos) break;
    line = end + 1;
  }
  return false;
}

/// Buffers of one thread; a huge text's are not kept.
struct Scratch {
  std::string folded;
  WordBits bits;
  std::vector<WordId> words;
  void clear() {
    constexpr std::size_t kKept = 256 * 1024;
    folded.clear();
    words.clear();
    if (folded.capacity() > kKept) folded.shrink_to_fit();
    if (words.capacity() > kKept) words.shrink_to_fit();
    if (bits.capacity() > kKept / 64) bits.give_back();
  }
};

}  // namespace

struct InjectionScreen::Impl {
  /// The phrases' words in a table without removal, so that looking one up takes a few nanoseconds.
  struct Slot {
    std::uint64_t head = 0;  ///< the first eight bytes
    std::string_view word;   ///< empty: free
    WordId id = 0;
  };
  static constexpr std::size_t kSlots = 4 * kMaxWords;
  static_assert(kSlots == 1U << 12U);
  std::vector<Slot> slots = std::vector<Slot>(kSlots);
  std::size_t vocabulary = 0;
  std::bitset<8192> heads;
  std::vector<Phrase> phrases;
  std::vector<std::vector<std::uint16_t>> by_first;  ///< phrases, by their first word
  std::array<std::vector<InjectionToken>, 256> tokens;
  std::vector<char> token_heads;
  std::vector<std::vector<std::string>> custom;

  Impl() {
    for (const InjectionPhrase& source : injection_phrases()) add(source);
    by_first.resize(vocabulary + 1);
    for (std::size_t i = 0; i < phrases.size(); ++i) {
      for (std::size_t word = 1; word < by_first.size(); ++word) {
        if (phrases[i].elements[0].words.test(word)) {
          by_first[word].push_back(static_cast<std::uint16_t>(i));
        }
      }
    }
    for (const InjectionToken& token : injection_tokens()) {
      auto& bucket = tokens[static_cast<unsigned char>(token.text[0])];
      if (bucket.empty()) token_heads.push_back(token.text[0]);
      bucket.push_back(token);
    }
  }

  void add(const InjectionPhrase& source) {
    Phrase phrase{.group = source.group, .elements = {}};
    unsigned gap = 0;
    for (const std::string_view item : split(source.words, ' ')) {
      if (item[0] == '~') {
        gap = static_cast<unsigned>(item[1] - '0');
        if (item.size() > 2) gap = gap * 10 + static_cast<unsigned>(item[2] - '0');
        continue;
      }
      Phrase::Element element{.words = {}, .gap = std::exchange(gap, 0U)};
      for (const std::string_view word : split(item, '|')) {
        const std::uint64_t head = head_of(word);
        Slot& slot = find_slot(head, word);
        if (slot.word.empty())
          slot = {.head = head, .word = word, .id = static_cast<WordId>(++vocabulary)};
        const WordId id = slot.id;
        element.words.set(id);
        heads.set(bit_of(head));
      }
      phrase.elements.push_back(element);
    }
    phrases.push_back(std::move(phrase));
  }

  static std::uint64_t head_of(std::string_view word) {
    std::uint64_t head = 0;
    for (std::size_t i = 0; i < std::min(word.size(), sizeof(head)); ++i) {
      head |= std::uint64_t{static_cast<unsigned char>(word[i])} << (8 * i);
    }
    return head;
  }
  /// The same of a word behind which there are bytes enough to read eight at once.
  static std::uint64_t head_within(std::string_view word) {
    std::uint64_t head = 0;
    std::memcpy(&head, word.data(), sizeof head);
    return word.size() >= sizeof head ? head : head & ~(~std::uint64_t{0} << (8 * word.size()));
  }
  /// The word's slot, or the free one where it belongs. There are always free ones.
  const Slot& find_slot(std::uint64_t head, std::string_view word) const {
    std::size_t at = ((head + word.size()) * 0x9E3779B97F4A7C15U) >> 52U;
    while (!slots[at].word.empty() && (slots[at].head != head || slots[at].word != word)) {
      at = (at + 1) % kSlots;
    }
    return slots[at];
  }
  Slot& find_slot(std::uint64_t head, std::string_view word) {
    return const_cast<Slot&>(std::as_const(*this).find_slot(head, word));
  }

  /// One bit per phrase word, by its head: most words of a text end here.
  static std::size_t bit_of(std::uint64_t head) { return (head * 0x9E3779B97F4A7C15U) >> 51U; }
  WordId id_of(std::uint64_t head, std::string_view word) const {
    return heads.test(bit_of(head)) ? find_slot(head, word).id : WordId{0};
  }

  /// The text's words as ids; an apostrophe within a word is left out ("don't" is "dont").
  void read_words(std::string_view text, WordBits& bits, std::vector<WordId>& out) const {
    std::array<char, kMaxWordSize> joined{};
    bits.read(text);
    std::size_t end = 0;
    for (std::size_t i = bits.next_word(0); i < text.size(); i = bits.next_word(end)) {
      end = bits.word_end(i);
      if (end + 1 < text.size() && text[end] == '\'' && is_word_byte(text[end + 1])) {
        std::size_t size = 0;
        for (end = i; end < text.size() && (is_word_byte(text[end]) || text[end] == '\''); ++end) {
          if (text[end] != '\'' && size < joined.size()) joined[size++] = text[end];
        }
        const std::string_view word(joined.data(), size);
        out.push_back(id_of(head_of(word), word));
      } else {
        const std::string_view word = text.substr(i, end - i);
        out.push_back(id_of(i + 8 <= text.size() ? head_within(word) : head_of(word), word));
      }
    }
  }

  std::optional<InjectionGroup> find_phrase(const std::vector<WordId>& words) const {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == 0) continue;
      for (const std::uint16_t phrase : by_first[words[i]]) {
        if (phrases[phrase].matches(words, i)) return phrases[phrase].group;
      }
    }
    return std::nullopt;
  }

  std::optional<InjectionGroup> find_token(std::string_view text) const {
    for (const char head : token_heads) {
      for (std::size_t at = text.find(head); at != std::string_view::npos;
           at = text.find(head, at + 1)) {
        for (const InjectionToken& token : tokens[static_cast<unsigned char>(head)]) {
          if (text.substr(at).starts_with(token.text)) return token.group;
        }
      }
    }
    return std::nullopt;
  }
};

std::string_view to_string(InjectionGroup group) {
  switch (group) {
    case InjectionGroup::kOverride:
      return "instruction_override";
    case InjectionGroup::kReveal:
      return "prompt_disclosure";
    case InjectionGroup::kRole:
      return "role_impersonation";
    case InjectionGroup::kJailbreak:
      return "jailbreak";
    case InjectionGroup::kEncoded:
      return "encoded_payload";
    case InjectionGroup::kExfiltration:
      return "exfiltration";
    case InjectionGroup::kCustom:
      break;
  }
  return "custom_pattern";
}

std::optional<InjectionAction> parse_injection_action(std::string_view word) {
  if (word == "block") return InjectionAction::kBlock;
  if (word == "flag") return InjectionAction::kFlag;
  if (word == "off") return InjectionAction::kOff;
  return std::nullopt;
}

Result<std::unique_ptr<InjectionScreen>> InjectionScreen::make(
    const std::vector<std::string>& patterns) {
  auto impl = std::make_unique<Impl>();
  if (patterns.size() > kMaxPatterns) {
    return fail_field("security.injection_patterns",
                      fmt::format("there are {} patterns; at most {} are allowed", patterns.size(),
                                  kMaxPatterns));
  }
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const std::string field = fmt::format("security.injection_patterns[{}]", i);
    if (patterns[i].size() > kMaxPatternBytes) {
      return fail_field(field, fmt::format("the pattern has {} bytes; at most {} are allowed",
                                           patterns[i].size(), kMaxPatternBytes));
    }
    std::string folded;
    append_folded(folded, patterns[i]);
    std::ranges::replace(folded, '\n', ' ');
    std::vector<std::string> pieces;
    std::size_t letters = 0;
    for (const std::string_view piece : split(folded, '*')) {
      pieces.emplace_back(piece);
      letters += static_cast<std::size_t>(std::ranges::count_if(piece, is_word_byte));
    }
    if (letters < 3) {
      return fail_field(
          field,
          fmt::format("the pattern is '{}'; it needs at least three letters or digits beside its "
                      "stars, or it would match anything",
                      patterns[i]));
    }
    impl->custom.push_back(std::move(pieces));
  }
  return std::unique_ptr<InjectionScreen>(new InjectionScreen(std::move(impl)));
}

InjectionScreen::InjectionScreen(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
InjectionScreen::~InjectionScreen() = default;

std::optional<InjectionGroup> InjectionScreen::find(std::string_view text) const {
  thread_local Scratch scratch;
  scratch.clear();
  append_folded(scratch.folded, text);
  if (has_role_line(scratch.folded)) return InjectionGroup::kRole;
  std::ranges::replace(scratch.folded, '\n', ' ');
  if (const auto group = impl_->find_token(scratch.folded)) return group;
  impl_->read_words(scratch.folded, scratch.bits, scratch.words);
  if (const auto group = impl_->find_phrase(scratch.words)) return group;
  for (const auto& pieces : impl_->custom) {
    if (has_pieces(scratch.folded, pieces)) return InjectionGroup::kCustom;
  }
  return std::nullopt;
}

std::optional<InjectionGroup> InjectionScreen::find(const json::value& value) const {
  if (const auto* text = value.if_string()) return find(std::string_view(*text));
  if (const auto* list = value.if_array()) {
    for (const json::value& item : *list) {
      if (const auto group = find(item)) return group;
    }
  } else if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      if (const auto group = find(member.value())) return group;
    }
  }
  return std::nullopt;
}

std::optional<InjectionGroup> InjectionScreen::find(const llm::ChatRequest& request) const {
  for (const llm::Message& message : request.messages) {
    if (message.role != llm::Role::kUser && message.role != llm::Role::kTool) continue;
    std::size_t texts = 0;
    for (const llm::Part& part : message.parts) {
      std::optional<InjectionGroup> group;
      if (const auto* text = std::get_if<llm::TextPart>(&part)) {
        ++texts;
        group = find(std::string_view(text->text));
      } else if (const auto* result = std::get_if<llm::ToolResultPart>(&part)) {
        group = find(std::string_view(result->text));
      } else if (const auto* file = std::get_if<llm::FilePart>(&part)) {
        if (const auto content = file_text(*file)) group = find(std::string_view(*content));
      } else if (const auto* opaque = std::get_if<llm::OpaquePart>(&part)) {
        group = find(opaque->value);
      }
      if (group) return group;
    }
    // A model reads the parts as one text, so a wording cut in two is still one.
    if (texts > 1) {
      if (const auto group = find(std::string_view(message.text()))) return group;
    }
  }
  return std::nullopt;
}

}  // namespace asahi::gateway
