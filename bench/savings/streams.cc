#include "savings/streams.h"

#include <cmath>
#include <functional>

#include "savings/cache.h"
#include "savings/generate.h"

namespace asahi::savings {
namespace {

using namespace gateway::semantic;

struct Step {
  std::size_t entry = 0;
  double score = 0;
  bool correct = false;
};
using World = std::function<Step(std::size_t, Random&)>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

StreamResult run(const std::string& name, const World& world, std::size_t entries,
                 std::size_t length, double delta, std::uint64_t seed) {
  Evidence evidence;
  std::vector<EntryEvidence> known(entries);
  Random random(seed * 7919 + 99);
  Bound bound;
  bound.delta = delta;
  StreamResult out{name, delta, length};
  for (std::size_t i = 0; i < length; ++i) {
    const Step step = world(i, random);
    evidence.asked();
    const auto trust = evidence.trust("general", step.score, known[step.entry], bound);
    const bool trusted = trust.audit < 1 && trust.error <= delta;
    if (trusted && random.unit() >= trust.audit) {
      ++out.hits;
      out.wrong += step.correct ? 0 : 1;
      continue;
    }
    ++out.explored;
    known[step.entry].add(step.score, step.correct);
    evidence.observe("general", step.score, step.correct, trusted ? trust.audit : 0);
  }
  return out;
}

// Every entry has its own point from which on its answer serves.
World benign(std::size_t entries) {
  return [entries](std::size_t, Random& random) {
    Step step;
    step.entry = random.below(entries);
    step.score = sigmoid(-1 + 7 * random.unit());
    Random own(step.entry * 7 + 1);
    const double turning = 1.0 + 2.0 * own.unit();
    const double odds = std::log(step.score / (1 - step.score));
    step.correct = random.unit() < sigmoid(3.5 * (odds - turning) + 3.5);
    return step;
  };
}

// High scores, and `share` of the answers wrong all the same.
World overconfident(std::size_t entries, double share) {
  return [entries, share](std::size_t, Random& random) {
    Step step;
    step.entry = random.below(entries);
    step.score = 0.97 + 0.029 * random.unit();
    step.correct = random.unit() >= share;
    return step;
  };
}

// One entry in five answers wrongly whatever the score.
World rotten(std::size_t entries) {
  return [entries](std::size_t, Random& random) {
    Step step;
    step.entry = random.below(entries);
    step.score = 0.97 + 0.029 * random.unit();
    step.correct = step.entry % 5 != 0;
    return step;
  };
}

// Right for `good` questions, then wrong for `bad`, at the best scores, over and over.
World betrayal(std::size_t entries, std::size_t good, std::size_t bad) {
  return [entries, good, bad](std::size_t i, Random& random) {
    Step step;
    step.entry = random.below(entries);
    step.score = 0.99 + 0.009 * random.unit();
    step.correct = i % (good + bad) < good;
    return step;
  };
}

// Nothing but wrong ones from the first question on, each at another entry.
World poison(std::size_t entries) {
  return [entries](std::size_t i, Random& random) {
    Step step;
    step.entry = i % entries;
    step.score = 0.98 + 0.0199 * random.unit();
    return step;
  };
}

StreamResult texts(std::size_t length, double delta, std::uint64_t seed) {
  ExactScan scan;
  const auto embedding = local_embedding();
  Cache cache(*embedding, scan);
  Random random(seed * 31 + 5);
  Bound bound;
  bound.delta = delta;
  const std::vector<Pair> traps = hard_negatives(2'000, 3);
  constexpr std::size_t kTopics = 250;
  StreamResult out{"texts", delta, length};
  // Answers: the topic's number; each text of a trap has its own.
  for (std::size_t i = 0; i < length; ++i) {
    std::string query;
    std::uint64_t truth = 0;
    if (random.below(8) == 0) {
      const std::size_t at = random.below(200) * (traps.size() / 200);
      const bool cached = random.below(2) == 0;
      query = cached ? traps[at].cached : traps[at].asked;
      truth = std::hash<std::string>{}(query) | 1ull << 63;
    } else {
      // Some are asked often, most seldom.
      const double u = random.unit();
      const auto topic = static_cast<std::size_t>(u * u * kTopics);
      query = topic_question(topic, random.below(6));
      truth = topic;
    }
    const Cache::Answer answer = cache.ask(query, bound, random.unit());
    if (answer.decision.action == Action::kHit) {
      ++out.hits;
      out.wrong += cache.answer_of(answer.entry) == truth ? 0 : 1;
      continue;
    }
    if (answer.decision.action == Action::kExplore) {
      ++out.explored;
      const bool correct = cache.answer_of(answer.entry) == truth;
      cache.learn(answer, correct);
      if (correct) continue;
    }
    if (cache.size() < 1'000) cache.put(query, truth);
  }
  return out;
}

}  // namespace

void bound_streams(std::size_t length, double delta, std::uint64_t seed,
                   const std::function<void(const StreamResult&)>& each) {
  constexpr std::size_t kEntries = 500;
  struct Named {
    std::string name;
    World world;
    std::size_t entries;
  };
  const std::vector<Named> worlds = {
      {"benign", benign(kEntries), kEntries},
      {"many entries", benign(20'000), 20'000},
      {"scores promise too much (2 % wrong)", overconfident(kEntries, 0.02), kEntries},
      {"scores promise too much (20 % wrong)", overconfident(kEntries, 0.2), kEntries},
      {"every fifth entry rotten", rotten(kEntries), kEntries},
      {"betrayal after 10,000 good ones", betrayal(kEntries, 10'000, 5'000), kEntries},
      {"betrayal after 1,000 good ones", betrayal(kEntries, 1'000, 1'000), kEntries},
      {"betrayal, always new entries", betrayal(50'000, 5'000, 5'000), 50'000},
      {"poison only", poison(kEntries), kEntries}};
  for (const Named& world : worlds)
    each(run(world.name, world.world, world.entries, length, delta, seed));
  each(texts(length, delta, seed));
}

}  // namespace asahi::savings
