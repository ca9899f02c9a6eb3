#include "server/commands/benchmark/traffic.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace asahi::server::benchmark {
namespace {

/// Of what is new. Nobody publishes such a table: these are chosen so that no kind decides alone,
/// with look-alikes far more frequent than in real traffic, because they are what a cache fails on.
constexpr std::array<double, kCategories> kShares = {0.24, 0.16, 0.12, 0.10, 0.07, 0.07,
                                                     0.06, 0.06, 0.05, 0.04, 0.03};

/// splitmix64 (Steele, Lea, Flood 2014): the same stream on every machine, unlike the
/// distributions of the standard library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  /// Uniform from 0 to `limit` - 1; `limit` > 0. The bias of the remainder is below 1e-15 here.
  std::size_t below(std::size_t limit) { return next() % limit; }
  /// Uniform in [0, 1).
  double draw() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

using Ids = std::vector<std::size_t>;

/// The topics of each category in the order in which they are taken; families stay together.
std::array<Ids, kCategories> shuffled_topics(Dice& dice) {
  std::array<std::vector<Ids>, kCategories> blocks;
  const std::vector<Topic>& all = topics();
  for (std::size_t id = 0; id < all.size(); ++id) {
    std::vector<Ids>& of_category = blocks[static_cast<std::size_t>(all[id].category)];
    const bool joins = !all[id].family.empty() && !of_category.empty() &&
                       all[of_category.back().front()].family == all[id].family;
    if (joins) {
      of_category.back().push_back(id);
    } else {
      of_category.push_back({id});
    }
  }
  std::array<Ids, kCategories> out;
  for (std::size_t category = 0; category < kCategories; ++category) {
    dice.shuffle(blocks[category]);
    for (const Ids& block : blocks[category])
      out[category].insert(out[category].end(), block.begin(), block.end());
  }
  return out;
}

/// How many new topics each category gives: largest remainders, within what it has.
std::array<std::size_t, kCategories> quotas(std::size_t wanted,
                                            const std::array<Ids, kCategories>& available) {
  std::array<std::size_t, kCategories> out{};
  std::size_t given = 0;
  while (given < wanted) {
    std::size_t best = kCategories;
    double most_behind = 0;
    for (std::size_t i = 0; i < kCategories; ++i) {
      if (out[i] == available[i].size()) continue;
      const double behind =
          kShares[i] * static_cast<double>(given + 1) - static_cast<double>(out[i]);
      if (best == kCategories || behind > most_behind) {
        best = i;
        most_behind = behind;
      }
    }
    ++out[best];
    ++given;
  }
  return out;
}

/// Earlier requests in wordings that nobody used yet.
class OtherWords {
 public:
  explicit OtherWords(Dice& dice) : dice_(dice), used_(topics().size(), 0) {}

  void asked(const Request& request) {
    used_[request.topic] = std::max(used_[request.topic], request.wording + 1);
    if (used_[request.topic] < topics()[request.topic].wording_count()) {
      open_.push_back(request.topic);
    } else {
      std::erase(open_, request.topic);
    }
  }
  /// Nothing where every wording of everything that was asked is used up.
  std::optional<Request> draw() {
    if (open_.empty()) return std::nullopt;
    const std::size_t topic = open_[dice_.below(open_.size())];
    return Request{.topic = topic, .wording = used_[topic]};
  }

 private:
  Dice& dice_;
  std::vector<std::size_t> used_;  ///< wordings, by topic: they are taken in their order
  Ids open_;                       ///< topics that have more, one per request
};

}  // namespace

std::string_view to_string(Novelty novelty) {
  constexpr std::array<std::string_view, 3> kNames = {"new", "repeated", "reworded"};
  return kNames[static_cast<std::size_t>(novelty)];
}

double category_share(Category category) { return kShares[static_cast<std::size_t>(category)]; }

std::vector<Request> plan_traffic(const TrafficOptions& options) {
  Dice dice(options.seed);
  if (options.requests == 0) return {};
  const auto repeats = static_cast<std::size_t>(
      std::llround(options.repeats * static_cast<double>(options.requests)));
  std::size_t left_new = std::clamp<std::size_t>(options.requests - repeats, 1, topics().size());
  const std::array<Ids, kCategories> available = shuffled_topics(dice);
  const auto quota = quotas(left_new, available);
  Ids fresh;
  for (std::size_t i = 0; i < kCategories; ++i) {
    fresh.insert(fresh.end(), available[i].begin(),
                 available[i].begin() + static_cast<std::ptrdiff_t>(quota[i]));
  }
  dice.shuffle(fresh);

  std::vector<Request> stream;
  OtherWords other_words(dice);
  for (std::size_t left = options.requests; left > 0; --left) {
    Request request;
    // As many new ones in the end as there are to be, wherever they fall.
    if (stream.empty() || dice.below(left) < left_new) {
      request.topic = fresh[--left_new];
    } else {
      std::optional<Request> reworded;
      if (dice.draw() < options.reworded) reworded = other_words.draw();
      request = reworded ? *reworded : stream[dice.below(stream.size())];
      request.novelty = reworded ? Novelty::kReworded : Novelty::kRepeated;
    }
    other_words.asked(request);
    stream.push_back(request);
  }
  return stream;
}

std::string prompt_of(const Request& request) {
  return topics()[request.topic].prompt(request.wording);
}

json::object body_of(const Request& request) {
  const Topic& topic = topics()[request.topic];
  json::object body{{"prompt", prompt_of(request)}};
  if (!topic.system.empty()) body["system_prompt"] = topic.system;
  json::array history;
  for (std::size_t i = 0; i < topic.history.size(); ++i) {
    if (topic.history[i].empty()) break;
    history.push_back(
        json::object{{"role", i % 2 == 0 ? "user" : "assistant"}, {"content", topic.history[i]}});
  }
  if (!history.empty()) body["history"] = std::move(history);
  return body;
}

}  // namespace asahi::server::benchmark
