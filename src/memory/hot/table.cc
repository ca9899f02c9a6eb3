#include "memory/hot/table.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/json.h"
#include "memory/hot/hash64.h"

namespace asahi::memory::hot {
namespace {

/// More different values than this in a column, and the rest is asked of the metadata.
constexpr std::size_t kMostValues = 1'000'000;
constexpr std::size_t kLongestValue = 256;
constexpr std::size_t kMostTags = 64;

/// A scalar as the text that a filter compares with: strings as they are, others as JSON.
std::optional<std::string> scalar_text(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(text->data(), text->size());
  if (value.is_object() || value.is_array() || value.is_null()) return std::nullopt;
  return write_json(value);
}

bool value_matches(const json::value& held, std::string_view value) {
  if (const auto* list = held.if_array()) {
    return std::ranges::any_of(*list, [&](const json::value& each) {
      const auto text = scalar_text(each);
      return text && *text == value;
    });
  }
  const auto text = scalar_text(held);
  return text && *text == value;
}

}  // namespace

std::uint32_t Interner::add(std::string_view text) {
  if (const auto at = numbers_.find(text); at != numbers_.end()) return at->second;
  texts_.emplace_back(text);
  const auto number = static_cast<std::uint32_t>(texts_.size());
  numbers_.emplace(texts_.back(), number);
  return number;
}

std::uint32_t Interner::find(std::string_view text) const {
  const auto at = numbers_.find(text);
  return at == numbers_.end() ? 0 : at->second;
}

std::uint64_t pair_signature(std::string_view name, std::string_view value) {
  const std::uint64_t hash = hash64(value, hash64(name, 1));
  return (std::uint64_t{1} << (hash & 63)) | (std::uint64_t{1} << ((hash >> 6) & 63));
}

FieldValues read_fields(std::string_view metadata) {
  FieldValues out;
  if (metadata == "{}") return out;
  const auto parsed = JsonDocument::parse(metadata);
  if (!parsed || !(*parsed)->root().is_object()) return out;
  return read_fields((*parsed)->root().get_object());
}

FieldValues read_fields(const json::object& metadata) {
  FieldValues out;
  for (const auto& [key, value] : metadata) {
    const std::string_view name(key.data(), key.size());
    if (const auto* list = value.if_array()) {
      for (const auto& each : *list) {
        if (const auto text = scalar_text(each)) out.signature |= pair_signature(name, *text);
      }
    } else if (const auto text = scalar_text(value)) {
      out.signature |= pair_signature(name, *text);
    }
    if (name == "tags") {
      const auto* list = value.if_array();
      std::size_t count = list == nullptr ? 1 : list->size();
      for (std::size_t i = 0; i < std::min(count, kMostTags); ++i) {
        const auto text = scalar_text(list == nullptr ? value : list->at(i));
        if (text && text->size() <= kLongestValue) out.tags.push_back(*text);
      }
      std::ranges::sort(out.tags);
      out.tags.erase(std::ranges::unique(out.tags).begin(), out.tags.end());
      continue;
    }
    const auto field = std::ranges::find(kFieldNames, name);
    if (field == kFieldNames.end()) continue;
    const auto i = static_cast<std::size_t>(field - kFieldNames.begin());
    out.values[i] = scalar_text(value);
    out.complex[i] = value.is_array() || (out.values[i] && out.values[i]->size() > kLongestValue);
  }
  return out;
}

bool metadata_matches(std::string_view metadata, std::string_view name, std::string_view value) {
  const auto parsed = JsonDocument::parse(metadata);
  if (!parsed || !(*parsed)->root().is_object()) return false;
  const json::value* const held = find_member((*parsed)->root().get_object(), name);
  return held != nullptr && value_matches(*held, value);
}

std::uint32_t Table::take_slot(std::uint32_t wanted) {
  std::uint32_t slot = wanted;
  if (wanted == kNoSlot && !free_.empty()) {
    slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (wanted == kNoSlot) slot = static_cast<std::uint32_t>(slots());
  if (slot < slots()) return slot;
  const std::size_t count = std::size_t{slot} + 1;
  for (auto s = static_cast<std::uint32_t>(slots()); s < slot; ++s) free_.push_back(s);
  columns_.flags.resize(count);
  columns_.visible.resize(count);
  columns_.timestamp.resize(count);
  columns_.system.resize(count);
  for (auto& column : columns_.fields) column.resize(count);
  columns_.tags.resize(count);
  columns_.signature.resize(count);
  places_.resize(count);
  return slot;
}

std::uint32_t Table::add(const Place& place, std::string_view system_id, Clock::Time timestamp,
                         const FieldValues& fields, bool alias, std::uint32_t wanted) {
  const std::uint32_t slot = take_slot(wanted);
  places_[slot] = place;
  columns_.flags[slot] = static_cast<std::uint8_t>(kCurrent | (alias ? kAlias : 0));
  columns_.visible[slot] = 0;
  columns_.timestamp[slot] = timestamp.time_since_epoch().count();
  columns_.system[slot] = systems_.add(system_id);
  for (std::size_t i = 0; i < kFieldNames.size(); ++i) {
    std::uint32_t& column = columns_.fields[i][slot];
    column = 0;
    if (fields.complex[i]) {
      column = kAskMetadata;
    } else if (fields.values[i]) {
      column = values_[i].find(*fields.values[i]);
      if (column == 0 && values_[i].size() >= kMostValues) {
        column = kAskMetadata;
      } else if (column == 0) {
        column = values_[i].add(*fields.values[i]);
      }
    }
    some_complex_[i] = some_complex_[i] || column == kAskMetadata;
  }
  columns_.tags[slot] = tag_set(fields.tags);
  columns_.signature[slot] = fields.signature;
  by_key_.insert(place.key_hash, slot);
  if (!alias) by_content_.insert(place.content_hash, slot);
  return slot;
}

std::uint32_t Table::tag_set(const std::vector<std::string>& tags) {
  if (tags.empty()) return 0;
  std::string joined;
  for (const std::string& tag : tags) {
    joined += tag;
    joined += '\0';
  }
  const std::uint32_t known = tag_sets_.find(joined);
  if (known != 0) return known;
  if (tag_sets_.size() >= kMostValues) {
    some_tags_unknown_ = true;
    return kAskMetadata;
  }
  std::vector<std::uint32_t> numbers;
  for (const std::string& tag : tags) numbers.push_back(tag_names_.add(tag));
  tags_of_set_.push_back(std::move(numbers));
  return tag_sets_.add(joined);
}

void Table::release(std::uint32_t slot) {
  by_key_.erase(places_[slot].key_hash, slot);
  if ((columns_.flags[slot] & kAlias) == 0) by_content_.erase(places_[slot].content_hash, slot);
  columns_.flags[slot] = 0;
  places_[slot] = {};
  free_.push_back(slot);
}

void Table::set_flags(std::uint32_t slot, std::uint8_t flags) {
  const bool was = (columns_.flags[slot] & kDurable) != 0, is = (flags & kDurable) != 0;
  const bool row = (flags & kAlias) == 0;
  columns_.flags[slot] = flags;
  columns_.visible[slot] = is && row ? 1 : 0;
  if (was == is) return;
  if (row) rows_ += is ? 1 : std::uint64_t(-1);
  live_bytes_ += is ? places_[slot].size : std::uint64_t(0) - places_[slot].size;
}

void Table::moved(std::uint32_t slot, Position position, std::uint32_t size) {
  Place& place = places_[slot];
  if ((columns_.flags[slot] & kDurable) != 0) live_bytes_ += std::uint64_t{size} - place.size;
  place.position = position;
  place.size = size;
}

void Table::reserve_slots(std::size_t count) {
  if (count == 0) return;
  take_slot(static_cast<std::uint32_t>(count - 1));
  free_.clear();
}

void Table::free_the_rest() {
  free_.clear();
  for (std::size_t slot = slots(); slot-- > 0;) {
    if (columns_.flags[slot] == 0) free_.push_back(static_cast<std::uint32_t>(slot));
  }
}

void Table::set_owner(std::uint32_t alias, std::uint32_t owner) {
  owners_[alias] = owner;
  aliases_[owner].push_back(alias);
}

void Table::clear_owner(std::uint32_t alias) {
  const auto at = owners_.find(alias);
  if (at == owners_.end()) return;
  const auto list = aliases_.find(at->second);
  std::erase(list->second, alias);
  if (list->second.empty()) aliases_.erase(list);
  owners_.erase(at);
}

std::uint32_t Table::owner(std::uint32_t alias) const {
  const auto at = owners_.find(alias);
  return at == owners_.end() ? kNoSlot : at->second;
}

const std::vector<std::uint32_t>* Table::aliases(std::uint32_t owner) const {
  const auto at = aliases_.find(owner);
  return at == aliases_.end() ? nullptr : &at->second;
}

std::size_t Table::bytes() const {
  constexpr std::size_t kAliasNodes = 160, kText = 120;
  std::size_t texts = systems_.size() + tag_names_.size() + 2 * tag_sets_.size();
  for (const auto& values : values_) texts += values.size();
  return places_.capacity() * (sizeof(Place) + 2 + 8 + 4 + 4 * kFieldNames.size() + 4 + 8) +
         by_key_.bytes() + by_content_.bytes() + owners_.size() * kAliasNodes + texts * kText;
}

void Table::allow(const Filter& filter, Allowed& out) const {
  const std::size_t count = slots();
  out.slots = columns_.visible;
  out.check.clear();
  std::uint8_t* const allowed = out.slots.data();
  const auto narrow = [&](const auto& column, auto holds) {
    for (std::size_t i = 0; i < count; ++i) {
      allowed[i] &= static_cast<std::uint8_t>(holds(column[i]));
    }
  };
  if (!filter.system_ids.empty() || filter.systems_allowed) {
    std::vector<std::uint8_t> wanted(systems_.size() + 1, filter.system_ids.empty() ? 1 : 0);
    for (const std::string& id : filter.system_ids) wanted[systems_.find(id)] = 1;
    if (filter.systems_allowed) {
      std::vector<std::uint8_t> may(wanted.size());
      for (const std::string& id : *filter.systems_allowed) may[systems_.find(id)] = 1;
      for (std::size_t i = 0; i < may.size(); ++i) wanted[i] &= may[i];
    }
    narrow(columns_.system, [&](std::uint32_t system) { return wanted[system]; });
  }
  if (filter.start || filter.end) {
    constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
    const std::int64_t from = filter.start ? filter.start->time_since_epoch().count() : kMin;
    if (filter.end) {
      const std::int64_t before = filter.end->time_since_epoch().count();
      narrow(columns_.timestamp, [&](std::int64_t t) { return t >= from && t < before; });
    } else {
      narrow(columns_.timestamp, [&](std::int64_t t) { return t >= from; });
    }
  }
  for (const auto& [name, value] : filter.metadata) {
    const auto field = std::ranges::find(kFieldNames, name);
    bool ask = true;
    if (name == "tags" && value.size() <= kLongestValue) {
      ask = some_tags_unknown_;
      const std::uint32_t tag = tag_names_.find(value);
      std::vector<std::uint8_t> sets(tags_of_set_.size() + 1);
      for (std::size_t i = 0; tag != 0 && i < tags_of_set_.size(); ++i) {
        sets[i + 1] = std::ranges::find(tags_of_set_[i], tag) != tags_of_set_[i].end() ? 1 : 0;
      }
      narrow(columns_.tags, [&](std::uint32_t set) {
        // A full set of tags may have been cut.
        return set == kAskMetadata ? std::uint8_t{1} : sets[set];
      });
    } else if (field != kFieldNames.end()) {
      const auto i = static_cast<std::size_t>(field - kFieldNames.begin());
      ask = some_complex_[i];
      const std::uint32_t number = values_[i].find(value);
      narrow(columns_.fields[i], [&](std::uint32_t held) {
        return held == kAskMetadata || (held == number && number != 0);
      });
    } else {
      const std::uint64_t bits = pair_signature(name, value);
      narrow(columns_.signature, [&](std::uint64_t held) { return (held & bits) == bits; });
    }
    if (ask) out.check.emplace_back(name, value);
  }
  out.count = 0;
  for (std::size_t i = 0; i < count; ++i) out.count += allowed[i];
}

template <class ForSlots>
void Table::count_each(const std::vector<std::string>& facets, ForSlots for_slots,
                       FacetCounts& out) const {
  const auto by_number = [&](const std::vector<std::uint32_t>& column, const Interner& names,
                             std::map<std::string, std::uint64_t>& counts) {
    std::vector<std::uint64_t> sums(names.size() + 1);
    for_slots([&](std::uint32_t slot) {
      if (column[slot] < sums.size()) ++sums[column[slot]];
    });
    for (std::size_t i = 1; i < sums.size(); ++i) {
      if (sums[i] > 0) counts[names.at(static_cast<std::uint32_t>(i))] += sums[i];
    }
  };
  for (const std::string& facet : facets) {
    auto& counts = out[facet];
    if (facet == "system_id") {
      by_number(columns_.system, systems_, counts);
    } else if (facet == "tier") {
      std::uint64_t sum = 0;
      for_slots([&](std::uint32_t) { ++sum; });
      if (sum > 0) counts[std::string(tier_name(Tier::kHot))] += sum;
    } else if (const auto unit = date_unit(facet)) {
      std::unordered_map<std::int64_t, std::uint64_t> days;
      for_slots([&](std::uint32_t slot) {
        ++days[std::chrono::floor<std::chrono::days>(timestamp(slot)).time_since_epoch().count()];
      });
      for (const auto& [day, sum] : days)
        counts[date_text(Clock::Time{std::chrono::days{day}}, *unit)] += sum;
    } else if (facet == "tags") {
      std::vector<std::uint64_t> sets(tags_of_set_.size() + 1);
      for_slots([&](std::uint32_t slot) {
        if (columns_.tags[slot] < sets.size()) ++sets[columns_.tags[slot]];
      });
      for (std::size_t i = 1; i < sets.size(); ++i) {
        if (sets[i] == 0) continue;
        for (const std::uint32_t tag : tags_of_set_[i - 1]) counts[tag_names_.at(tag)] += sets[i];
      }
    } else if (const auto at = std::ranges::find(kFieldNames, facet); at != kFieldNames.end()) {
      const auto i = static_cast<std::size_t>(at - kFieldNames.begin());
      by_number(columns_.fields[i], values_[i], counts);
    }
  }
}

void Table::count_facets(const std::vector<std::string>& facets, const std::uint8_t* allowed,
                         FacetCounts& out) const {
  const std::uint8_t* const which = allowed != nullptr ? allowed : columns_.visible.data();
  count_each(
      facets,
      [&](auto take) {
        for (std::uint32_t slot = 0; slot < slots(); ++slot) {
          if (which[slot] != 0) take(slot);
        }
      },
      out);
}

void Table::count_facets_of(const std::vector<std::string>& facets,
                            const std::vector<std::uint32_t>& slots, FacetCounts& out) const {
  count_each(
      facets,
      [&](auto take) {
        for (const std::uint32_t slot : slots) take(slot);
      },
      out);
}

}  // namespace asahi::memory::hot
