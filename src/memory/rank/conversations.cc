#include "memory/rank/conversations.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/json.h"
#include "memory/rank/named_time.h"
#include "memory/text/digest.h"
#include "memory/text/postings.h"
#include "memory/text/tokenise.h"

namespace asahi::memory::rank {
namespace {

/// Without sessions, what lies further apart belongs to other talks.
constexpr std::int64_t kTalkGap =
    std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::hours(1)).count();
/// Names beyond are not told apart any more.
constexpr std::size_t kMostSpeakers = 1'000'000;
constexpr std::size_t kLongestName = 64;

constexpr std::string_view kMagic = "asahi talks 1\n";

void put_number(std::string& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

bool get_number(std::string_view bytes, std::size_t& at, std::uint64_t& value) {
  if (bytes.size() - at < 8) return false;
  value = 0;
  for (int i = 0; i < 8; ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at++])) << (8 * i);
  return true;
}

/// The last two numbers in `id`, the later one in the low half.
std::uint64_t place_of(std::string_view id) {
  std::uint64_t before = 0, last = 0;
  bool inside = false;
  for (const char c : id) {
    const bool digit = c >= '0' && c <= '9';
    if (digit && !inside) {
      before = last;
      last = 0;
    }
    if (digit)
      last = std::min<std::uint64_t>(last * 10 + static_cast<unsigned>(c - '0'), 0xFFFFFFFF);
    inside = digit;
  }
  return before << 32 | last;
}

/// Notes in brackets ("[a photo of …]") and blanks behind a text do not count.
bool ends_as_question(std::string_view text) {
  while (!text.empty()) {
    if (text.back() == ']' || text.back() == ')') {
      const std::size_t open = text.rfind(text.back() == ']' ? '[' : '(');
      if (open == std::string_view::npos) return false;
      text = text.substr(0, open);
    } else if (text.back() == ' ' || text.back() == '\n' || text.back() == '"') {
      text.remove_suffix(1);
    } else {
      return text.back() == '?' || text.ends_with("？") || text.ends_with("؟");
    }
  }
  return false;
}

bool has_time(std::string_view text) {
  constexpr std::size_t kMostRead = 4'000;
  return text::any_plain_word(text.substr(0, kMostRead), tells_time);
}

std::string text_of(const json::object& object, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const json::value* const value = object.if_contains(name);
    if (value == nullptr) continue;
    if (value->is_string()) return std::string(std::string_view(value->get_string()));
    if (value->is_int64()) return std::to_string(value->get_int64());
  }
  return {};
}

}  // namespace

std::string_view spoken_by(std::string_view text) {
  const std::size_t colon = text.substr(0, kLongestName).find(": ");
  if (colon == std::string_view::npos || colon == 0) return {};
  const std::string_view name = text.substr(0, colon);
  std::size_t blanks = 0;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        static_cast<unsigned char>(c) >= 0x80 || (c >= '0' && c <= '9');
    blanks += c == ' ' ? 1 : 0;
    if (!letter && c != ' ' && c != '.' && c != '\'' && c != '-' && c != '_') return {};
  }
  return blanks <= 2 ? name : std::string_view();
}

MetadataPlacement read_placement(std::string_view metadata) {
  const auto document = JsonDocument::parse(metadata);
  const json::object* const object = document ? (*document)->root().if_object() : nullptr;
  return object == nullptr ? MetadataPlacement() : read_placement(*object);
}

MetadataPlacement read_placement(const json::object& metadata) {
  const json::object* const object = &metadata;
  MetadataPlacement out;
  constexpr std::array<std::string_view, 2> kSession = {"session", "session_id"};
  constexpr std::array<std::string_view, 3> kSpeaker = {"speaker", "author", "role"};
  out.session = text_of(*object, kSession);
  out.speaker = text_of(*object, kSpeaker);
  for (const std::string_view name : {"turn", "position"}) {
    const json::value* const turn = object->if_contains(name);
    if (turn == nullptr || !turn->is_int64()) continue;
    const std::int64_t number = turn->get_int64();
    if (number >= 0 && number <= 0xFFFFFFFF) out.turn = static_cast<std::uint32_t>(number);
    break;
  }
  return out;
}

std::uint32_t Conversations::group_by(std::string key) {
  const auto [at, fresh] = group_by_key_.try_emplace(std::move(key), 0);
  if (!fresh) return at->second;
  if (free_groups_.empty()) {
    at->second = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    at->second = free_groups_.back();
    free_groups_.pop_back();
  }
  groups_[at->second].key = at->first;
  return at->second;
}

std::uint32_t Conversations::speaker_of(std::vector<std::string> words) {
  if (words.empty()) return Facts::kNone;
  std::string key;
  for (const std::string& word : words) key += word + ' ';
  const auto known = speaker_by_name_.find(key);
  if (known != speaker_by_name_.end()) return known->second;
  if (speakers_.size() >= kMostSpeakers) return Facts::kNone;
  const auto speaker = static_cast<std::uint32_t>(speakers_.size());
  speakers_.push_back(std::move(words));
  speaker_by_name_.emplace(std::move(key), speaker);
  return speaker;
}

Conversations::Reading Conversations::read(const Placement& placement, std::string_view text) {
  Reading out;
  out.group = placement.scope;
  out.group += '\0';
  if (placement.session.empty()) {
    const auto day = std::chrono::floor<std::chrono::days>(placement.timestamp);
    out.group += 'd';
    out.group += std::to_string(day.time_since_epoch().count());
  } else {
    out.group += 's';
    out.group += placement.session;
  }
  const std::string_view speaker = placement.speaker.empty() ? spoken_by(text) : placement.speaker;
  out.speaker = text::plain_words(speaker.substr(0, kLongestName));
  out.facts.by_session = !placement.session.empty();
  out.facts.time = placement.timestamp.time_since_epoch().count();
  out.facts.place = placement.turn ? *placement.turn : place_of(placement.id);
  out.facts.asks = ends_as_question(text);
  out.facts.tells_time = has_time(text);
  return out;
}

void Conversations::put(std::uint32_t document, Reading reading, std::uint16_t words) {
  erase(document);
  if (document >= facts_.size()) facts_.resize(document + 1);
  Facts facts = reading.facts;
  facts.group = group_by(std::move(reading.group));
  facts.speaker = speaker_of(std::move(reading.speaker));
  facts.words = words;
  facts_[document] = facts;
  auto& entries = groups_[facts.group].entries;
  const Entry entry{facts.time, facts.place, document};
  entries.insert(std::ranges::upper_bound(entries, entry), entry);
}

bool Conversations::erase(std::uint32_t document) {
  if (document >= facts_.size() || facts_[document].group == Facts::kNone) return false;
  const Facts facts = facts_[document];
  facts_[document] = {};
  Group& group = groups_[facts.group];
  const Entry entry{facts.time, facts.place, document};
  group.entries.erase(std::ranges::lower_bound(group.entries, entry));
  if (group.entries.empty()) {
    group_by_key_.erase(group.key);
    group = {};
    free_groups_.push_back(facts.group);
  }
  return true;
}

std::string Conversations::snapshot() const {
  std::string out;
  text::put_varint(out, static_cast<std::uint32_t>(speakers_.size()));
  for (const auto& words : speakers_) {
    text::put_varint(out, static_cast<std::uint32_t>(words.size()));
    for (const std::string& word : words) {
      text::put_varint(out, static_cast<std::uint32_t>(word.size()));
      out += word;
    }
  }
  text::put_varint(out, static_cast<std::uint32_t>(group_by_key_.size()));
  for (const Group& group : groups_) {
    if (group.entries.empty()) continue;
    text::put_varint(out, static_cast<std::uint32_t>(group.key.size()));
    out += group.key;
    text::put_varint(out, static_cast<std::uint32_t>(group.entries.size()));
    for (const Entry& entry : group.entries) {
      const Facts& facts = facts_[entry.document];
      text::put_varint(out, entry.document);
      text::put_varint(out, facts.speaker + 1);  // nobody is 0
      put_number(out, static_cast<std::uint64_t>(facts.time));
      put_number(out, facts.place);
      text::put_varint(out, facts.words);
      out += static_cast<char>((facts.asks ? 1 : 0) | (facts.tells_time ? 2 : 0) |
                               (facts.by_session ? 4 : 0));
    }
  }
  return text::with_digest(kMagic, out);
}

Result<Conversations> Conversations::restore(std::string_view bytes, std::uint32_t max_documents) {
  ASAHI_TRY(const std::string_view payload, text::checked_payload(kMagic, bytes));
  Conversations out;
  if (!out.read(payload, max_documents))
    return fail(Errc::kCorrupt, "the snapshot of conversations contradicts itself");
  return out;
}

bool Conversations::read(std::string_view payload, std::uint32_t max_documents) {
  std::size_t at = 0;
  const auto number = [&](std::uint32_t& value) { return text::get_varint(payload, at, value); };
  const auto piece = [&](std::string& to) {
    std::uint32_t size = 0;
    if (!number(size) || size > payload.size() - at) return false;
    to = payload.substr(at, size);
    at += size;
    return true;
  };
  std::uint32_t speakers = 0, groups = 0;
  if (!number(speakers) || speakers > payload.size()) return false;
  for (std::uint32_t i = 0; i < speakers; ++i) {
    std::uint32_t count = 0;
    if (!number(count) || count == 0 || count > kLongestName) return false;
    std::string key;
    std::vector<std::string> words(count);
    for (std::string& word : words) {
      if (!piece(word)) return false;
      key += word + ' ';
    }
    if (!speaker_by_name_.emplace(std::move(key), i).second) return false;
    speakers_.push_back(std::move(words));
  }
  if (!number(groups) || groups > payload.size()) return false;
  for (std::uint32_t i = 0; i < groups; ++i) {
    std::string key;
    std::uint32_t entries = 0;
    if (!piece(key) || group_by_key_.contains(key)) return false;
    const std::uint32_t group = group_by(std::move(key));
    if (!number(entries) || entries == 0 || entries > payload.size()) return false;
    for (std::uint32_t k = 0; k < entries; ++k) {
      std::uint32_t document = 0, speaker = 0, words = 0;
      std::uint64_t time = 0;
      Facts facts;
      if (!number(document) || !number(speaker) || !get_number(payload, at, time) ||
          !get_number(payload, at, facts.place) || !number(words) || at >= payload.size())
        return false;
      const auto flags = static_cast<unsigned char>(payload[at++]);
      if (document >= max_documents || speaker > speakers || words > 0xFFFF) return false;
      if (document >= facts_.size()) facts_.resize(document + 1);
      if (facts_[document].group != Facts::kNone) return false;
      facts.group = group;
      facts.speaker = speaker - 1;
      facts.time = static_cast<std::int64_t>(time);
      facts.words = static_cast<std::uint16_t>(words);
      facts.asks = (flags & 1) != 0;
      facts.tells_time = (flags & 2) != 0;
      facts.by_session = (flags & 4) != 0;
      facts_[document] = facts;
      groups_[group].entries.push_back({facts.time, facts.place, document});
    }
    if (!std::ranges::is_sorted(groups_[group].entries)) return false;
  }
  return at == payload.size();
}

bool Conversations::near(const Facts& facts, const Entry& a, const Entry& b) {
  return facts.by_session || std::max(a.time, b.time) - std::min(a.time, b.time) <= kTalkGap;
}

std::size_t Conversations::bytes() const {
  std::size_t sum = facts_.capacity() * sizeof(Facts) + groups_.capacity() * sizeof(Group);
  for (const Group& group : groups_)
    sum += group.entries.capacity() * sizeof(Entry) + 2 * group.key.capacity() + 64;
  for (const auto& words : speakers_) sum += 128 + words.size() * sizeof(std::string);
  return sum;
}

}  // namespace asahi::memory::rank
