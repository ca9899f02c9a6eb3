#include "memory/rank/evidence.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

namespace asahi::memory::rank {
namespace {

constexpr double kK1 = 1.2;
constexpr double kB = 0.75;
/// The window's half.
constexpr std::ptrdiff_t kReach = 2;
constexpr std::size_t kNoHit = static_cast<std::size_t>(-1);

/// A found document in its session.
struct Found {
  std::uint32_t group = 0;
  std::ptrdiff_t place = 0;  ///< in the session's entries
  std::size_t hit = 0;
  Conversations::Facts facts;
};

/// A document that has evidence, its own or its neighbours'.
struct Slot {
  Ranked ranked;
  std::uint32_t group = 0;
  std::ptrdiff_t place = 0;
  std::int64_t time = 0;
  int repeats = 0;  ///< neighbours that stand higher
};

class Ranking {
 public:
  Ranking(const Question& question, const Conversations& conversations,
          const text::SearchOptions& search, const EvidenceOptions& options, const text::Hits& hits)
      : question_(question),
        conversations_(conversations),
        search_(search),
        options_(options),
        hits_(hits) {}

  std::vector<Ranked> run(std::size_t limit) {
    weigh_terms();
    place_hits();
    for (std::size_t i = 0; i < found_.size();) {
      std::size_t end = i + 1;
      while (end < found_.size() && found_[end].group == found_[i].group) ++end;
      if (found_[i].group == Conversations::Facts::kNone)
        alone(i, end);
      else
        session(i, end);
      i = end;
    }
    judge();
    return best(limit);
  }

 private:
  // A word's rarity among windows rather than memories: of windows of n memories,
  // 1 − (1 − df ÷ N)^n hold a word that df of N memories hold.
  void weigh_terms() {
    const double documents = std::max<double>(1, hits_.documents);
    gains_.reserve(question_.terms.size());
    for (std::size_t i = 0; i < question_.terms.size(); ++i) {
      const double share = hits_.documents_with[i] / documents;
      const double with = documents * (1 - std::pow(1 - std::min(share, 1.0), 2 * kReach + 1));
      const double idf = std::log(1 + (documents - with + 0.5) / (with + 0.5));
      gains_.push_back(question_.terms[i].weight * idf);
    }
    double weights = 1;
    for (const double weight : options_.neighbours) weights += 2 * weight;
    average_window_ = std::max(1.0, hits_.average_length * weights);
  }

  void place_hits() {
    found_.reserve(hits_.hits.size());
    for (std::size_t i = 0; i < hits_.hits.size(); ++i) {
      Found found;
      found.hit = i;
      found.facts = conversations_.facts(hits_.hits[i].document);
      found.group = found.facts.group;
      if (found.group != Conversations::Facts::kNone) {
        const auto entries = conversations_.session_of(found.facts);
        const Conversations::Entry entry{found.facts.time, found.facts.place,
                                         hits_.hits[i].document};
        found.place = std::ranges::lower_bound(entries, entry) - entries.begin();
      }
      found_.push_back(found);
      note_speaker(found.facts.speaker);
    }
    std::ranges::sort(found_, [](const Found& a, const Found& b) {
      return std::pair(a.group, a.place) < std::pair(b.group, b.place);
    });
  }

  void note_speaker(std::uint32_t speaker) {
    if (speaker == Conversations::Facts::kNone) return;
    const auto known =
        std::ranges::find(speakers_, speaker, &std::pair<std::uint32_t, bool>::first);
    if (known != speakers_.end()) return;
    bool named = false;
    for (const std::string& word : conversations_.speaker_words(speaker))
      named = named || (word.size() > 1 && std::ranges::binary_search(question_.words, word));
    speakers_.emplace_back(speaker, named);
    named_ += named ? 1 : 0;
  }

  bool admitted(std::uint32_t document) const {
    if (!search_.allowed.empty()) {
      const std::size_t word = document / 64;
      if (word >= search_.allowed.size() || (search_.allowed[word] >> (document % 64) & 1) == 0)
        return false;
    }
    return !search_.admits || search_.admits(document);
  }

  // Documents whose place is not known: each its own window.
  void alone(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      Slot slot;
      slot.group = Conversations::Facts::kNone;
      slot.place = -static_cast<std::ptrdiff_t>(2 * i);
      own(slot, found_[i].hit);
      frequencies_.assign(gains_.size(), 0);
      add(found_[i].hit, 1);
      slot.ranked.window = window_score(hits_.average_length);
      slot.ranked.score = slot.ranked.window;
      slots_.push_back(std::move(slot));
    }
  }

  void session(std::size_t begin, std::size_t end) {
    const auto entries = conversations_.session_of(found_[begin].facts);
    std::uint64_t held = 0;
    for (std::size_t i = begin; i < end; ++i) held |= bits_of(found_[i].hit);
    double support = 0;
    for (std::size_t t = 0; t < gains_.size(); ++t) {
      if (held >> t & 1) support += options_.session * gains_[t];
    }
    const auto last = static_cast<std::ptrdiff_t>(entries.size()) - 1;
    std::ptrdiff_t done = -1;
    for (std::size_t i = begin; i < end; ++i) {
      const std::ptrdiff_t from = std::max({found_[i].place - kReach, done + 1, std::ptrdiff_t{0}});
      const std::ptrdiff_t to = std::min(found_[i].place + kReach, last);
      for (std::ptrdiff_t place = from; place <= to; ++place)
        window(entries, place, begin, end, support);
      done = std::max(done, to);
    }
  }

  void window(std::span<const Conversations::Entry> entries, std::ptrdiff_t place,
              std::size_t begin, std::size_t end, double support) {
    const Conversations::Entry& middle = entries[static_cast<std::size_t>(place)];
    const Conversations::Facts facts = conversations_.facts(middle.document);
    Slot slot;
    slot.group = facts.group;
    slot.place = place;
    slot.time = middle.time;
    slot.ranked.document = middle.document;
    frequencies_.assign(gains_.size(), 0);
    double words = 0;
    bool evidence = false;
    const auto first = std::ranges::lower_bound(found_.begin() + static_cast<std::ptrdiff_t>(begin),
                                                found_.begin() + static_cast<std::ptrdiff_t>(end),
                                                place - kReach, {}, &Found::place);
    auto at = static_cast<std::size_t>(first - found_.begin());
    const auto last = static_cast<std::ptrdiff_t>(entries.size()) - 1;
    for (std::ptrdiff_t other = std::max(place - kReach, std::ptrdiff_t{0});
         other <= std::min(place + kReach, last); ++other) {
      const Conversations::Entry& entry = entries[static_cast<std::size_t>(other)];
      const bool hit = at < end && found_[at].place == other;
      const std::size_t index = hit ? found_[at].hit : kNoHit;
      at += hit ? 1 : 0;
      if (!Conversations::near(facts, middle, entry)) continue;
      const auto distance = static_cast<std::size_t>(other > place ? other - place : place - other);
      const double weight = distance == 0 ? 1 : options_.neighbours[distance - 1];
      words += weight * conversations_.facts(entry.document).words;
      if (!hit) continue;
      evidence = true;
      add(index, weight);
      if (distance == 0)
        own(slot, index);
      else
        slot.ranked.nearby_terms |= bits_of(index);
    }
    if (!evidence || (slot.ranked.keyword_rank == 0 && !admitted(middle.document))) return;
    slot.ranked.nearby_terms &= ~slot.ranked.own_terms;
    slot.ranked.window = window_score(words);
    slot.ranked.session = support;
    slot.ranked.score = slot.ranked.window + support;
    slots_.push_back(std::move(slot));
  }

  void own(Slot& slot, std::size_t hit) {
    slot.ranked.document = hits_.hits[hit].document;
    slot.ranked.keyword_rank = static_cast<int>(hit) + 1;
    slot.ranked.bm25 = hits_.hits[hit].score;
    slot.ranked.own_terms = bits_of(hit);
  }

  std::uint64_t bits_of(std::size_t hit) const {
    std::uint64_t bits = 0;
    const auto row = hits_.row(hit);
    for (std::size_t t = 0; t < row.size(); ++t) bits |= std::uint64_t{row[t] != 0} << t;
    return bits;
  }

  void add(std::size_t hit, double weight) {
    const auto row = hits_.row(hit);
    for (std::size_t t = 0; t < row.size(); ++t) frequencies_[t] += weight * row[t];
  }

  double window_score(double words) const {
    const double norm = kK1 * (1 - kB + kB * words / average_window_);
    double score = 0;
    for (std::size_t t = 0; t < gains_.size(); ++t)
      score += gains_[t] * frequencies_[t] * (kK1 + 1) / (frequencies_[t] + norm);
    return score;
  }

  // Who said it, whether it tells anything, when.
  void judge() {
    for (const Slot& slot : slots_)
      note_speaker(conversations_.facts(slot.ranked.document).speaker);
    const bool one_named = named_ > 0 && named_ < speakers_.size();
    std::int64_t oldest = 0, newest = 0;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      oldest = i == 0 ? slots_[i].time : std::min(oldest, slots_[i].time);
      newest = i == 0 ? slots_[i].time : std::max(newest, slots_[i].time);
    }
    for (Slot& slot : slots_) {
      const Conversations::Facts facts = conversations_.facts(slot.ranked.document);
      double factor = 1;
      if (facts.asks) factor *= 1 - options_.asks;
      if (one_named && facts.speaker != Conversations::Facts::kNone) {
        const auto speaker =
            std::ranges::find(speakers_, facts.speaker, &std::pair<std::uint32_t, bool>::first);
        slot.ranked.named_speaker = speaker != speakers_.end() && speaker->second;
        if (slot.ranked.named_speaker) factor *= 1 + options_.named_speaker;
      }
      if (question_.asks_when && facts.tells_time) factor *= 1 + options_.tells_time;
      if (question_.time && facts.group != Conversations::Facts::kNone) {
        slot.ranked.named_time =
            question_.time->holds(Clock::Time(std::chrono::nanoseconds(facts.time)));
        if (slot.ranked.named_time) factor *= 1 + options_.named_time;
      }
      if (question_.order != TimeOrder::kAny && newest > oldest) {
        const double late = static_cast<double>(slot.time - oldest) /
                            (static_cast<double>(newest) - static_cast<double>(oldest));
        factor *= 1 + options_.order * (question_.order == TimeOrder::kLatest ? late : 1 - late);
      }
      slot.ranked.factor = factor;
      slot.ranked.score *= factor;
    }
  }

  // Takes the best one by one; what stands beside one taken loses a little.
  std::vector<Ranked> best(std::size_t limit) {
    const auto worse = [this](std::size_t a, std::size_t b) {
      const Slot& one = slots_[a];
      const Slot& other = slots_[b];
      if (one.ranked.score != other.ranked.score) return one.ranked.score < other.ranked.score;
      if (one.time != other.time) return one.time < other.time;
      return one.ranked.document > other.ranked.document;
    };
    std::vector<std::size_t> order(slots_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::vector<int> counted(slots_.size());
    std::priority_queue queue(worse, std::move(order));
    std::vector<Ranked> out;
    out.reserve(std::min(limit, slots_.size()));
    while (!queue.empty() && out.size() < limit) {
      const std::size_t i = queue.top();
      queue.pop();
      if (counted[i] < slots_[i].repeats) {
        slots_[i].ranked.score *= std::pow(1 - options_.repeated, slots_[i].repeats - counted[i]);
        counted[i] = slots_[i].repeats;
        queue.push(i);
        continue;
      }
      out.push_back(slots_[i].ranked);
      // Slots stand in the order of groups and places.
      if (i > 0 && beside(slots_[i - 1], slots_[i])) ++slots_[i - 1].repeats;
      if (i + 1 < slots_.size() && beside(slots_[i], slots_[i + 1])) ++slots_[i + 1].repeats;
    }
    return out;
  }

  static bool beside(const Slot& a, const Slot& b) {
    return a.group == b.group && a.place + 1 == b.place;
  }

  const Question& question_;
  const Conversations& conversations_;
  const text::SearchOptions& search_;
  const EvidenceOptions& options_;
  const text::Hits& hits_;
  std::vector<double> gains_, frequencies_;
  double average_window_ = 1;
  std::vector<Found> found_;
  std::vector<std::pair<std::uint32_t, bool>> speakers_;  ///< and whether the question names them
  std::size_t named_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace

std::vector<Ranked> rank_conversation(const Question& question, const text::Index& index,
                                      const Conversations& conversations,
                                      text::SearchOptions search, std::size_t limit,
                                      const EvidenceOptions& options) {
  search.limit = std::clamp<std::size_t>(std::max(options.candidates, limit), 1, 10'000);
  const text::Hits hits = index.search(question.terms, search);
  return Ranking(question, conversations, search, options, hits).run(limit);
}

}  // namespace asahi::memory::rank
