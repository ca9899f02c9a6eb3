// The three tiers in a process that is killed at any moment: what was acknowledged is there, once,
// as it was said last; what was erased stays away.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "memory/ageing/erase.h"
#include "memory/ageing/front.h"
#include "memory/ageing/move_gate.h"
#include "memory/ageing/mover.h"
#include "memory/ageing/promoter.h"
#include "memory/cold/store.h"
#include "memory/hot/hot_store.h"
#include "memory/hot/testing/samples.h"
#include "memory/testing/killed_child.h"
#include "memory/testing/on_loop.h"
#include "memory/warm/warm_store.h"
#include "storage/columnar/private_folder.h"
#include "storage/object/folder_store.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::ageing {
namespace {

using namespace std::chrono_literals;
using hot_testing::direction;

constexpr int kSystems = 4;
constexpr std::size_t kBatch = 5;  ///< memories of a step

Clock::Time now() { return parse_rfc3339("2026-11-22T10:00:00Z").value(); }
Clock::Time warm_before() { return now() - std::chrono::days(7); }
Clock::Time cold_before() { return now() - std::chrono::days(90); }

/// A step of the story, which its number alone decides.
struct Step {
  enum class Kind { kStore, kChange, kErase, kEraseSystem } kind = Kind::kStore;
  std::vector<Memory> memories;
  std::vector<Key> keys;
  std::string system;
};

Memory told_at(std::uint64_t number, std::size_t place, std::uint64_t version) {
  std::mt19937_64 random(number * 64 + place);
  Memory out;
  out.key = {"acme", "system" + std::to_string(random() % kSystems),
             std::to_string(number) + "-" + std::to_string(place)};
  out.content = "Memory " + out.key.conversation_id + " in its version " + std::to_string(version);
  out.content_hash = sha256(out.content);
  out.embedding = direction(number * 64 + place + version, 16);
  out.embedding_model = "m";
  constexpr std::array kAges = {1, 20, 20, 120, 121, 121};
  out.timestamp =
      now() - std::chrono::days(kAges[random() % kAges.size()]) + std::chrono::seconds(version);
  out.uploaded_at = out.timestamp;
  return out;
}

Step step_at(std::uint64_t number) {
  std::mt19937_64 random(number);
  Step out;
  // Half of what is stored is erased: the store stays small.
  const auto choice = random() % 100;
  const std::uint64_t back = 1 + random() % 60;
  if (choice < 45 || back > number) {
    for (std::size_t i = 0; i < kBatch; ++i) out.memories.push_back(told_at(number, i, 0));
  } else if (choice < 60) {
    out.kind = Step::Kind::kChange;
    out.memories.push_back(told_at(number - back, random() % kBatch, number));
  } else if (choice < 98) {
    out.kind = Step::Kind::kErase;
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (random() % 4 != 0) out.keys.push_back(told_at(number - back, i, 0).key);
    }
  } else {
    out.kind = Step::Kind::kEraseSystem;
    out.system = "system" + std::to_string(random() % kSystems);
  }
  return out;
}

/// The tiers as the product wires them.
class Stores {
 public:
  explicit Stores(const std::string& folder) {
    HotOptions hot, warm;
    hot.engine.folder = folder + "/hot";
    warm.engine.folder = folder + "/warm";
    for (HotOptions* options : {&hot, &warm}) {
      options->engine.log.segment_bytes = 64 << 10;  // merges happen
      options->engine.log.smallest_segment = 4 << 10;
      options->engine.vectors.exact_rows = 50;  // there is a graph to be linked
      options->engine.clock = &clock;
    }
    hot_ = std::make_unique<MoveGate>(HotStore::open(std::move(hot)).value(), clock);
    warm_ = std::make_unique<MoveGate>(WarmStore::open(std::move(warm)).value(), clock);
    front_ = std::make_unique<Front>(*hot_, *warm_);
    objects_ = object::FolderStore::open(folder + "/objects").value();
    catalogue_ = std::make_unique<cold::FileCatalogue>(folder + "/catalogue");
    tier_ = cold::ColdTier::open(*objects_, *catalogue_, clock,
                                 {.temp_folder = folder + "/temp", .grace = 0s})
                .value();
    cold_ = std::make_unique<cold::ColdStore>(*tier_, 2, 64);
    database_ = sql::open_database({.url = "sqlite:///" + folder + "/hits.db"}).value();
    if (!sql::Migrator(*database_, hit_migrations()).upgrade()) std::abort();
    hits_ = std::make_unique<Hits>(*database_);
  }
  ~Stores() { work.join(); }

  /// The hottest first.
  std::vector<Store*> all() { return {hot_.get(), warm_.get(), cold_.get()}; }
  MoveGate& hot() { return *hot_; }
  MoveGate& warm() { return *warm_; }
  cold::ColdStore& cold() { return *cold_; }

  Task<void> run(Step step) {
    if (!step.memories.empty()) {
      auto done = co_await front_->upsert_batch(std::move(step.memories), {});
      if (!done) co_return std::unexpected(done.error());
      co_return Result<void>{};
    }
    auto gone = step.kind == Step::Kind::kErase
                    ? co_await erase(all(), std::move(step.keys))
                    : co_await erase_system(all(), "acme", std::move(step.system));
    if (!gone) co_return std::unexpected(gone.error());
    co_return Result<void>{};
  }
  /// As access rules have it: some memories, by their names, are asked for often.
  static bool is_loved(const Key& key) { return key.conversation_id.ends_with("-1"); }
  /// Lets up to `limit` of those come back; how many did.
  Task<std::uint64_t> promote(std::size_t limit) {
    StoreQuery newest;
    newest.tenant = "acme";
    newest.limit = limit;
    ASAHI_CO_TRY(const StorePage page, co_await warm_->search(std::move(newest)));
    std::vector<Key> keys;
    for (const StoreHit& hit : page.hits) {
      if (is_loved(hit.key)) keys.push_back(hit.key);
    }
    Promoter promoter(*warm_, *hot_, cold_.get(), *hits_, clock);
    ASAHI_CO_TRY(const Promoted done, co_await promoter.batch(std::move(keys)));
    if (done.errors > 0) co_return fail(Errc::kCorrupt, "a copy is wrong");
    co_return done.promoted;
  }
  /// One batch of each step down; how many rows were old enough. `told` hears of each batch.
  Task<std::uint64_t> age(std::size_t limit, std::function<void(const Moved&)> told) {
    Mover to_warm(*hot_, *warm_, work), to_cold(*warm_, *cold_, work);
    // What came back stays for a while.
    const Mover::Stays stays = [this](const std::vector<Eligible>& due) -> Task<std::vector<bool>> {
      std::vector<Key> keys;
      for (const Eligible& one : due) keys.push_back(one.memory.key);
      ASAHI_CO_TRY(const auto kept, co_await hits_->kept(keys));
      std::vector<bool> out;
      for (const Key& key : keys) out.push_back(kept.contains(key));
      co_return out;
    };
    ASAHI_CO_TRY(const Moved first,
                 co_await to_warm.batch({.before = warm_before(), .limit = limit}, stays));
    told(first);
    ASAHI_CO_TRY(const Moved second,
                 co_await to_cold.batch({.before = cold_before(), .limit = limit},
                                        [this](const std::vector<Eligible>& due) {
                                          return left_behind(*hits_, *hot_, due);
                                        }));
    told(second);
    // A way up that was cut: it goes on with the next promotion.
    if (auto ok = co_await to_cold.let_go(second.kept); !ok) co_return std::unexpected(ok.error());
    if (first.errors + second.errors > 0) co_return fail(Errc::kCorrupt, "a copy is wrong");
    co_return first.scanned + second.scanned;
  }

  ManualClock clock{now()};
  boost::asio::thread_pool work{1};

 private:
  std::unique_ptr<MoveGate> hot_, warm_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<object::FolderStore> objects_;
  std::unique_ptr<cold::Catalogue> catalogue_;
  std::unique_ptr<cold::ColdTier> tier_;
  std::unique_ptr<cold::ColdStore> cold_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Hits> hits_;
};

/// What a key may say; an empty text: it is not there.
using Possible = std::map<Key, std::set<std::string>>;

/// What a search over all tiers sees: of each key what the hottest tier says of it.
struct Seen {
  std::map<Key, std::string> texts;
  std::uint64_t rows = 0;             ///< in all tiers
  std::map<Key, std::string> places;  ///< "hot 'text'; cold 'text'", for whoever reads a failure
  std::string fault;
  std::string in_two_tiers() const {
    std::string out;
    for (const auto& [key, place] : places) {
      if (place.contains(';'))
        out += key.system_id + "/" + key.conversation_id + ": " + place + "\n";
    }
    return out;
  }
};

Task<Seen> look(Stores& stores) {
  Seen out;
  for (Store* store : stores.all()) {
    for (int system = 0; system < kSystems; ++system) {
      StoreQuery query;
      query.tenant = "acme";
      query.filter.system_ids = {"system" + std::to_string(system)};
      query.limit = 1'000;
      ASAHI_CO_TRY(const StorePage page, co_await store->search(std::move(query)));
      if (page.partial || page.total > page.hits.size()) out.fault = "not everything was seen";
      std::map<Key, std::string> here;
      for (const StoreHit& hit : page.hits) {
        if (const auto [at, fresh] = here.emplace(hit.key, hit.text); !fresh) {
          out.fault = std::string(tier_name(store->tier())) + " has " + hit.key.conversation_id +
                      " twice: '" + at->second + "' and '" + hit.text + "'";
        }
        std::string& place = out.places[hit.key];
        place += fmt::format("{}{} '{}' of {}", place.empty() ? "" : "; ", tier_name(store->tier()),
                             hit.text, format_rfc3339(hit.timestamp));
        out.texts.try_emplace(hit.key, hit.text);
        ++out.rows;
      }
    }
  }
  co_return out;
}

/// `step` is done for certain, or may be done.
void apply(Possible& possible, const Step& step, bool certain) {
  const auto becomes = [&](const Key& key, const std::string& text) {
    auto& texts = possible[key];
    if (texts.empty()) texts.insert("");
    if (certain) texts.clear();
    texts.insert(text);
  };
  for (const Memory& memory : step.memories) becomes(memory.key, memory.content);
  for (const Key& key : step.keys) becomes(key, "");
  if (step.kind != Step::Kind::kEraseSystem) return;
  for (auto& [key, texts] : possible) {
    if (key.system_id == step.system) becomes(key, "");
  }
}

/// Holds what is seen against what may be; from now on it is what was seen.
std::string settle(Possible& possible, const Seen& seen) {
  if (!seen.fault.empty()) return seen.fault;
  for (const auto& [key, text] : seen.texts) {
    if (!possible.contains(key)) return key.conversation_id + " was never told: " + text;
  }
  for (auto& [key, texts] : possible) {
    const auto found = seen.texts.find(key);
    const std::string text = found == seen.texts.end() ? "" : found->second;
    if (!texts.contains(text)) {
      std::string expected;
      for (const std::string& each : texts) expected += "'" + each + "' ";
      return key.system_id + "/" + key.conversation_id + " says '" + text + "', not " + expected;
    }
    texts = {text};
  }
  return "";
}

/// Runs steps, and lets memories age beside them, until it is killed. Started by the test below.
TEST(TiersCrash, DISABLED_Child) {
  const auto child = testing::DoomedChild::here();
  if (!child) GTEST_SKIP() << "only as a child";
  testing::OnLoop on;
  Stores stores(child->folder());
  child->ready();
  on.loop().spawn("ageing", [&]() -> Aw<void> {
    for (std::uint64_t round = 1;; ++round) {
      const auto moved = co_await stores.age(10, [&](const Moved& batch) {
        if (batch.moved > 0) child->moved(batch.moved);
      });
      if (!moved) ::_exit(4);
      // Files of a row or two gather quickly.
      if (round % 3 == 0) {
        if (auto tidied = co_await stores.cold().tidy(1s); !tidied) ::_exit(5);
      }
      if (round % 8 == 0) {
        if (auto compacted = co_await stores.cold().compact(1s); !compacted) ::_exit(5);
      }
      const auto back = co_await stores.promote(30);
      if (!back) ::_exit(6);
      if (*back > 0) child->moved(*back);
      if (*moved == 0) co_await on.loop().sleep_for(1ms);
    }
  });
  for (std::uint64_t number = child->from();; ++number) {
    child->asks(number);
    const auto done =
        on.wait<void>([&]() -> Task<void> { co_return co_await stores.run(step_at(number)); });
    if (!done) ::_exit(3);
    child->acknowledges(number);
  }
}

TEST(TiersCrash, NothingIsLostNothingIsThereTwiceNothingComesBack) {
  const int kills = testing::kills();
  // A killed process leaves what it wrote in the system's cache: memory will do, and is faster.
  std::error_code none;
  const bool shared_memory = std::filesystem::is_directory("/dev/shm", none);
  const auto folder = columnar::PrivateFolder::make(shared_memory ? "/dev/shm" : "").value();
  testing::OnLoop on;
  std::mt19937_64 random(17);
  Possible possible;
  std::uint64_t next = 0, moved = 0, in_two_tiers = 0;
  for (int kill = 0; kill < kills; ++kill) {
    // From its start on, sometimes before it is ready.
    const bool wait_ready = random() % 16 != 0;
    const auto child =
        testing::kill_child("TiersCrash.DISABLED_Child", folder.path(), next, wait_ready,
                            std::chrono::microseconds(random() % 60'000));
    ASSERT_TRUE(child) << "kill " << kill;
    const std::uint64_t asked = child->asked, acknowledged = child->acknowledged;
    moved += child->moved;
    for (; next < acknowledged; ++next) apply(possible, step_at(next), true);
    for (; next < asked; ++next) apply(possible, step_at(next), false);
    Stores stores(folder.path());
    const auto seen = on.wait<Seen>([&]() -> Task<Seen> { co_return co_await look(stores); });
    ASSERT_TRUE(seen) << seen.error().message;
    const std::string wrong = settle(possible, *seen);
    ASSERT_EQ(wrong, "") << "kill " << kill << " after step " << acknowledged;
    in_two_tiers += seen->rows - seen->texts.size();
    // What was erased long ago is not asked for any more.
    if (kill % 10 == 9)
      std::erase_if(possible, [](const auto& entry) { return entry.second.contains(""); });
  }
  // When everything is where it belongs, no memory is in two tiers, and the counts agree.
  Stores stores(folder.path());
  const auto settled = on.wait<Seen>([&]() -> Task<Seen> {
    while (true) {
      ASAHI_CO_TRY(const std::uint64_t scanned, co_await stores.age(1'000, [](const Moved&) {}));
      ASAHI_CO_TRY(const std::uint64_t back, co_await stores.promote(1'000));
      if (scanned + back == 0) break;
    }
    co_return co_await look(stores);
  });
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_EQ(settle(possible, *settled), "");
  const auto counted = on.wait<std::uint64_t>([&]() -> Task<std::uint64_t> {
    std::uint64_t sum = 0;
    for (Store* store : stores.all()) {
      ASAHI_CO_TRY(const TierStats stats, co_await store->stats("acme"));
      sum += stats.records;
    }
    co_return sum;
  });
  EXPECT_EQ(counted.value(), settled->rows);
  EXPECT_EQ(settled->rows, settled->texts.size()) << settled->in_two_tiers();
  RecordProperty("steps", std::to_string(next));
  RecordProperty("moved", std::to_string(moved));
  RecordProperty("copies_found_half_way", std::to_string(in_two_tiers));
  EXPECT_GT(next, static_cast<std::uint64_t>(kills));
  EXPECT_GT(moved, static_cast<std::uint64_t>(kills));
}

}  // namespace
}  // namespace asahi::memory::ageing
