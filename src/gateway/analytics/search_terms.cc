#include "gateway/analytics/search_terms.h"

#include <algorithm>
#include <span>

#include "gateway/analytics/search_words.h"

namespace asahi::gateway::analytics {
namespace {

constexpr char kReason = 'r';  ///< only its words are looked for
constexpr char kRequest = '\0';

/// The first bytes of a term, as a number that is ordered like them.
std::uint64_t beginning_of(std::string_view term) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < sizeof bytes; ++i)
    bytes = bytes << 8 | (i < term.size() ? static_cast<unsigned char>(term[i]) : 0);
  return bytes;
}

}  // namespace

std::string term(char field, std::string_view value) {
  std::string out(1, field);
  out += value.substr(0, kMostOfATerm);
  return out;
}

void OrgTerms::add(const Indexed& event, std::uint16_t position) {
  times_.emplace_back(position, event.ms);
  add_words(kRequest, event.request_id, position);
  add_value('u', event.user, position);
  add_value('m', event.model, position);
  add_value('t', event.task, position);
  add_value('p', event.provider, position);
  add_value(kReason, event.reason, position);
  add_value('e', event.error, position);
  add_value('k', event.key, position);
  add_value('f', event.failed ? "1" : "0", position);
  add_value('h', event.hit ? "1" : "0", position);
  add_value('c', event.tier, position);
}

std::string_view OrgTerms::kept(std::string_view text) {
  auto* const bytes =
      static_cast<char*>(memory_.allocate(std::max<std::size_t>(1, text.size()), 1));
  std::ranges::copy(text, bytes);
  return {bytes, text.size()};
}

OrgTerms::Number OrgTerms::number_of(std::string_view term) {
  const auto found = numbers_.find(term);
  if (found != numbers_.end()) return found->second;
  const auto number = static_cast<Number>(names_.size());
  names_.push_back(kept(term));
  last_.push_back(-1);
  numbers_.emplace(names_.back(), number);
  return number;
}

/// To `lists_`.
void OrgTerms::append_terms_of(char field, std::string_view value) {
  const auto append = [&](char kind, std::string_view text) {
    term_.assign(1, kind);
    term_ += text.substr(0, kMostOfATerm);
    lists_.push_back(number_of(term_));
  };
  const bool exact = field != kRequest && field != kReason;
  if (exact) append(field, value);
  if (!exact || std::string_view("umtpe").find(field) != std::string_view::npos) {
    words_.clear();
    append_words(words_, value);
    for (const std::string& word : words_) append('w', word);
  }
}

void OrgTerms::put(Number term, std::uint16_t position) {
  if (last_[term] == position) return;
  last_[term] = position;
  entries_.emplace_back(term, position);
}

/// Values that differ from event to event.
void OrgTerms::add_words(char field, std::string_view value, std::uint16_t position) {
  const std::size_t begin = lists_.size();
  append_terms_of(field, value);
  for (std::size_t i = begin; i < lists_.size(); ++i) put(lists_[i], position);
  lists_.resize(begin);
}

void OrgTerms::add_value(char field, std::string_view value, std::uint16_t position) {
  if (value.empty()) return;
  named_.assign(1, field);
  named_ += value;
  auto known = known_.find(std::string_view(named_));
  if (known == known_.end()) {
    const std::size_t begin = lists_.size();
    append_terms_of(field, value);
    known = known_.emplace(kept(named_), List{begin, lists_.size() - begin}).first;
  }
  for (std::size_t i = 0; i < known->second.count; ++i)
    put(lists_[known->second.begin + i], position);
}

std::vector<TermPage> OrgTerms::pages() const {
  // Positions by term, each term's in one piece.
  std::vector<std::size_t> ends(names_.size() + 1);
  for (const auto& [number, position] : entries_) ++ends[number + 1];
  for (std::size_t number = 0; number < names_.size(); ++number) ends[number + 1] += ends[number];
  std::vector<std::uint16_t> positions(entries_.size());
  // Each beginning moves on to its end.
  for (const auto& [number, position] : entries_) positions[ends[number]++] = position;
  struct Place {
    std::uint64_t beginning;
    Number number;
  };
  std::vector<Place> order(names_.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = {beginning_of(names_[i]), static_cast<Number>(i)};
  std::ranges::sort(order, [&](const Place& one, const Place& two) {
    if (one.beginning != two.beginning) return one.beginning < two.beginning;
    return names_[one.number] < names_[two.number];
  });
  std::vector<TermPositions> terms;
  terms.reserve(order.size());
  for (const Place& place : order) {
    const std::size_t begin = place.number == 0 ? 0 : ends[place.number - 1];
    terms.emplace_back(names_[place.number],
                       std::span(positions).subspan(begin, ends[place.number] - begin));
  }
  return encode_terms(terms);
}

void BlockTerms::add(std::int64_t id, const Indexed& event) {
  auto org = orgs.find(event.org);
  if (org == orgs.end()) org = orgs.try_emplace(std::string(event.org)).first;
  org->second.add(event, static_cast<std::uint16_t>(id % kBlockEvents));
  ++events;
}

}  // namespace asahi::gateway::analytics
