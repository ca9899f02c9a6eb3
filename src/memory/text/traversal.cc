#include "memory/text/traversal.h"

#include <algorithm>
#include <cmath>

namespace asahi::memory::text {
namespace {

// Sums of the same parts in another order differ in the last digits; bounds stay above them.
constexpr double kSlack = 1 + 1e-9;

}  // namespace

void Traversal::Cursor::load(std::size_t index) {
  block = index;
  at = 0;
  count = index < postings->blocks() ? postings->decode(index, ordinals, frequencies) : 0;
  ordinal = count > 0 ? ordinals[0] : kNoOrdinal;
}

void Traversal::Cursor::next() {
  if (++at < count)
    ordinal = ordinals[at];
  else
    load(block + 1);
}

void Traversal::Cursor::seek(Ordinal target) {
  if (ordinal >= target) return;
  if (ordinals[count - 1] < target) {
    std::size_t index = block + 1;
    const std::size_t blocks = postings->blocks();
    // Near ones are the rule; far ones are found by halving.
    std::size_t step = 1;
    while (index + step < blocks && postings->block_last(index + step) < target) {
      index += step;
      step *= 2;
    }
    std::size_t most = std::min(index + step, blocks);
    while (index < most) {
      const std::size_t middle = index + (most - index) / 2;
      if (postings->block_last(middle) < target)
        index = middle + 1;
      else
        most = middle;
    }
    load(index);
    if (count == 0 || ordinal >= target) return;
  }
  at = static_cast<std::size_t>(
      std::lower_bound(ordinals.begin() + static_cast<std::ptrdiff_t>(at),
                       ordinals.begin() + static_cast<std::ptrdiff_t>(count), target) -
      ordinals.begin());
  ordinal = ordinals[at];
}

Traversal::Traversal(const Index& index, std::span<const QueryTerm> query,
                     const SearchOptions& options)
    : index_(index), options_(options), width_(query.size()), row_(query.size()) {
  counts_.resize(width_);
  const double documents = static_cast<double>(index.lengths_.size() - index.swept_);
  const double average =
      documents > 0 ? std::max(1.0, static_cast<double>(index.total_length_) / documents) : 1;
  short_part_ = index.options_.k1 * (1 - index.options_.b);
  long_part_ = index.options_.k1 * index.options_.b / average;
  cursors_.reserve(width_);
  for (std::size_t i = 0; i < width_; ++i) {
    const std::uint32_t list = index.find(query[i].text);
    if (list == Index::kNoList) continue;
    const Postings& postings = index.lists_[list].postings;
    counts_[i] = postings.count();
    if (postings.count() == 0 || !(query[i].weight > 0)) continue;
    Cursor& cursor = cursors_.emplace_back();
    cursor.postings = &postings;
    cursor.column = i;
    const double with = postings.count();
    const double idf = std::log(1 + (documents - with + 0.5) / (with + 0.5));
    cursor.gain = query[i].weight * idf * (index.options_.k1 + 1);
    cursor.bound = part(cursor, postings.most(), postings.shortest()) * kSlack;
    cursor.load(0);
  }
  std::ranges::sort(cursors_, {}, &Cursor::bound);
  double sum = 0;
  for (const Cursor& cursor : cursors_) below_.push_back(sum += cursor.bound);
}

double Traversal::part(const Cursor& cursor, std::uint8_t frequency, std::uint16_t length) const {
  const double f = frequency;
  return cursor.gain * f / (f + short_part_ + long_part_ * length);
}

double Traversal::window(Ordinal from, Ordinal& end) {
  double bound = first_ > 0 ? below_[first_ - 1] : 0;
  end = kNoOrdinal - 1;
  for (std::size_t i = first_; i < cursors_.size(); ++i) {
    Cursor& cursor = cursors_[i];
    if (cursor.ordinal == kNoOrdinal) continue;
    cursor.shallow = std::max(cursor.shallow, cursor.block);
    const std::size_t blocks = cursor.postings->blocks();
    while (cursor.shallow < blocks && cursor.postings->block_last(cursor.shallow) < from)
      ++cursor.shallow;
    if (cursor.shallow == blocks) continue;
    if (cursor.shallow_known != cursor.shallow) {
      const Postings::Block block = cursor.postings->block(cursor.shallow);
      cursor.shallow_known = cursor.shallow;
      cursor.shallow_bound = part(cursor, block.most, block.shortest) * kSlack;
    }
    bound += cursor.shallow_bound;
    end = std::min(end, cursor.postings->block_last(cursor.shallow));
  }
  return bound;
}

bool Traversal::admitted(Ordinal ordinal) const {
  if (!index_.alive(ordinal)) return false;
  const std::uint32_t document = index_.documents_[ordinal];
  if (!options_.allowed.empty()) {
    const std::size_t word = document / 64;
    if (word >= options_.allowed.size() || (options_.allowed[word] >> (document % 64) & 1) == 0)
      return false;
  }
  return !options_.admits || options_.admits(document);
}

void Traversal::take(Ordinal ordinal, double score) {
  const auto worse = [](const Entry& a, const Entry& b) {
    return a.score > b.score || (a.score == b.score && a.ordinal < b.ordinal);
  };
  Entry entry{score, ordinal, heap_.size()};
  if (heap_.size() == options_.limit) {
    std::ranges::pop_heap(heap_, worse);
    entry.row = heap_.back().row;
    heap_.pop_back();
  } else {
    rows_.resize(rows_.size() + width_);
  }
  std::ranges::copy(row_, rows_.begin() + static_cast<std::ptrdiff_t>(entry.row * width_));
  heap_.push_back(entry);
  std::ranges::push_heap(heap_, worse);
  if (heap_.size() < options_.limit) return;
  threshold_ = heap_.front().score;
  while (first_ < cursors_.size() && below_[first_] <= threshold_) ++first_;
}

Hits Traversal::run() {
  Ordinal window_end = 0;
  bool window_known = false;
  while (first_ < cursors_.size() && options_.limit > 0) {
    Ordinal candidate = kNoOrdinal;
    for (std::size_t i = first_; i < cursors_.size(); ++i)
      candidate = std::min(candidate, cursors_[i].ordinal);
    if (candidate == kNoOrdinal) break;
    if (threshold_ > 0 && (!window_known || candidate > window_end)) {
      const double bound = window(candidate, window_end);
      window_known = true;
      if (bound <= threshold_) {
        for (std::size_t i = first_; i < cursors_.size(); ++i) cursors_[i].seek(window_end + 1);
        continue;
      }
    }
    if (!admitted(candidate)) {
      for (std::size_t i = first_; i < cursors_.size(); ++i) {
        if (cursors_[i].ordinal == candidate) cursors_[i].next();
      }
      continue;
    }
    const std::uint16_t length = index_.lengths_[candidate];
    std::ranges::fill(row_, 0);
    double score = 0;
    for (std::size_t i = first_; i < cursors_.size(); ++i) {
      Cursor& cursor = cursors_[i];
      if (cursor.ordinal != candidate) continue;
      const std::uint8_t frequency = cursor.frequencies[cursor.at];
      row_[cursor.column] = frequency;
      score += part(cursor, frequency, length);
      cursor.next();
    }
    bool hopeless = false;
    for (std::size_t i = first_; i-- > 0 && !hopeless;) {
      if (score * kSlack + below_[i] <= threshold_) {
        hopeless = true;
        break;
      }
      Cursor& cursor = cursors_[i];
      cursor.seek(candidate);
      if (cursor.ordinal != candidate) continue;
      const std::uint8_t frequency = cursor.frequencies[cursor.at];
      row_[cursor.column] = frequency;
      score += part(cursor, frequency, length);
    }
    if (hopeless || (heap_.size() == options_.limit && score <= threshold_)) continue;
    const std::size_t before = first_;
    take(candidate, score);
    if (first_ != before) window_known = false;
  }
  std::ranges::sort(heap_, [](const Entry& a, const Entry& b) {
    return a.score > b.score || (a.score == b.score && a.ordinal < b.ordinal);
  });
  Hits out;
  out.documents_with = std::move(counts_);
  out.documents = static_cast<std::uint32_t>(index_.lengths_.size() - index_.swept_);
  out.average_length =
      out.documents > 0 ? static_cast<double>(index_.total_length_) / out.documents : 0;
  out.hits.reserve(heap_.size());
  out.frequencies.reserve(heap_.size() * width_);
  for (const Entry& entry : heap_) {
    out.hits.push_back({index_.documents_[entry.ordinal], static_cast<float>(entry.score)});
    const auto row = rows_.begin() + static_cast<std::ptrdiff_t>(entry.row * width_);
    out.frequencies.insert(out.frequencies.end(), row, row + static_cast<std::ptrdiff_t>(width_));
  }
  return out;
}

}  // namespace asahi::memory::text
