// What the archive does to files and objects, with a folder as store, and with failures at each
// step. The stores themselves have a contract suite of their own.
#include "gateway/archive/event_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/archive/gzip.h"
#include "gateway/governance/retention.h"
#include "gateway/governance/testing/scene.h"
#include "gateway/testing/temp_folder.h"
#include "storage/object/folder_store.h"

namespace asahi::gateway {
namespace {

namespace fs = std::filesystem;
using std::chrono::days;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A folder, and what a test wants to go wrong with it.
class Shaky final : public object::ObjectStore {
 public:
  explicit Shaky(const std::string& folder) : real_(object::FolderStore::open(folder).value()) {}

  bool away = false;             ///< nobody answers
  bool flips = false;            ///< what is read is not what was written
  int dies_after_puts = -1;      ///< the process ends after so many puts
  std::function<void()> on_put;  ///< before one
  std::string held;              ///< a key that may not be erased

  Result<object::ObjectInfo> put(const std::string& key, std::string_view bytes,
                                 const object::PutOptions& options) override {
    return real_->put(key, bytes, options);
  }
  Result<object::ObjectInfo> put_file(const std::string& key, const std::string& path,
                                      const object::PutOptions& options) override {
    if (away) return fail(Errc::kUnavailable, "the store is away");
    if (on_put) on_put();
    auto done = real_->put_file(key, path, options);
    if (dies_after_puts >= 0 && --dies_after_puts < 0) return fail(Errc::kCancelled, "kill -9");
    return done;
  }
  Result<std::unique_ptr<object::Upload>> begin_upload(const std::string& key,
                                                       const object::PutOptions& options) override {
    return real_->begin_upload(key, options);
  }
  Result<object::ObjectInfo> read(const std::string& key, const object::Sink& sink,
                                  const object::ReadOptions& options) override {
    if (away) return fail(Errc::kUnavailable, "the store is away");
    return real_->read(
        key,
        [&](std::string_view piece) {
          std::string bytes(piece);
          if (flips) bytes[bytes.size() / 2] ^= 1;
          return sink(bytes);
        },
        options);
  }
  Result<std::optional<object::ObjectInfo>> head(const std::string& key) override {
    if (away) return fail(Errc::kUnavailable, "the store is away");
    return real_->head(key);
  }
  Result<object::Page> list(const object::ListQuery& query) override {
    if (away) return fail(Errc::kUnavailable, "the store is away");
    return real_->list(query);
  }
  Result<void> erase(const std::string& key) override {
    if (key == held) return fail(Errc::kForbidden, "the object is held");
    return real_->erase(key);
  }
  void stop() override {}
  std::string where() const override { return real_->where(); }

 private:
  std::unique_ptr<object::ObjectStore> real_;
};

class EventArchiveTest : public testing::GovernanceScene {
 protected:
  EventArchiveTest() {
    fs::create_directories(logs());
    renew();
  }
  /// As after a restart of the process.
  void renew(const std::string& node = "n1") {
    auto store = std::make_unique<Shaky>(bucket());
    store_of_archive_ = store.get();
    archive_.reset();
    archive_ = std::make_unique<EventArchive>(
        EventArchive::Parts{config_, *database_, clock_, metrics_, logs(), node}, std::move(store));
  }
  std::string logs() const { return folder_.path() + "/logs"; }
  std::string bucket() const { return folder_.path() + "/bucket"; }

  /// A day's file with one line per (organisation, user).
  std::string add_log(int age, const std::vector<std::pair<std::string, std::string>>& who) {
    std::string content;
    for (const auto& [org, user] : who) {
      InferenceEvent event;
      event.event_id = event.request_id = "id";
      event.timestamp = clock_.now() - days(age);
      event.org_id = org;
      event.user_id = user;
      append_json(content, event);
      content += '\n';
    }
    const std::string name = "events_" + day(age) + ".jsonl";
    std::ofstream(logs() + '/' + name) << content;
    return name;
  }
  std::string day(int age) const { return format_date(clock_.now() - days(age)); }
  std::string key(int age, const std::string& node = "n1") const {
    return "events/" + day(age) + "/" + node + ".jsonl.gz";
  }
  LogRules rules(std::map<std::string, int> kept = {}) const {
    LogRules rules{.default_cutoff = clock_.now() - days(365), .as_of = clock_.now()};
    for (const auto& [org, many] : kept) rules.cutoffs[org] = clock_.now() - days(many);
    return rules;
  }
  Result<ArchiveReport> run(const LogRules& rules) {
    return archive_->run_blocking(rules, "events_" + day(0) + ".jsonl");
  }
  Result<ArchiveReport> run() { return run(rules()); }

  bool here(const std::string& file) const { return fs::exists(logs() + '/' + file); }
  std::vector<std::string> objects() {
    std::vector<std::string> keys;
    EXPECT_TRUE(store_of_archive_->each("", [&](const object::ObjectInfo& object) {
      keys.push_back(object.key);
      return true;
    }));
    return keys;
  }
  /// Who is in an object.
  std::vector<std::string> archived(const std::string& key) {
    const auto packed = store_of_archive_->get(key, 1 << 20);
    EXPECT_TRUE(packed) << packed.error().message;
    std::string text;
    GzipReader unpack([&](std::string_view piece) -> Result<void> {
      text += piece;
      return {};
    });
    EXPECT_TRUE(unpack.write(packed.value_or("")));
    EXPECT_TRUE(unpack.finish());
    std::vector<std::string> who;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto event = event_from_json(line);
      who.push_back(event ? event->org_id + "/" + event->user_id : "?");
    }
    return who;
  }

  testing::TempFolder folder_;
  ArchiveConfig config_{.url = "file:///unused"};
  telemetry::Registry metrics_;
  Shaky* store_of_archive_ = nullptr;
  std::unique_ptr<EventArchive> archive_;
};

TEST_F(EventArchiveTest, StoresDaysThatAreOver) {
  const std::string old = add_log(1, {{"acme", "ann"}, {"other", "bob"}});
  const std::string open = add_log(0, {{"acme", "ann"}});
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->stored, 1);
  EXPECT_THAT(objects(), ElementsAre(key(1)));
  EXPECT_THAT(archived(key(1)), ElementsAre("acme/ann", "other/bob"));
  EXPECT_TRUE(here(old));
  EXPECT_TRUE(here(open));
  // Nothing is left to do.
  EXPECT_EQ(run()->stored, 0);
  EXPECT_THAT(metrics_.expose(), HasSubstr("asahi_event_archive_files_total{result=\"stored\"} 1"));
}

TEST_F(EventArchiveTest, LeavesWhatTheLoaderHasNotRead) {
  add_log(3, {{"acme", "ann"}});
  add_log(2, {{"acme", "ann"}});
  ASSERT_TRUE(archive_->run_blocking(rules(), "events_" + day(2) + ".jsonl"));
  EXPECT_THAT(objects(), ElementsAre(key(3)));
}

TEST_F(EventArchiveTest, RemovesFilesAfterTheirTimeHere) {
  config_.local_days = 2;
  const std::string first = add_log(3, {{"acme", "ann"}}), second = add_log(2, {{"acme", "bob"}});
  ASSERT_TRUE(run());
  EXPECT_FALSE(here(first));
  EXPECT_TRUE(here(second));
  clock_.advance(days(1));
  const auto report = run();
  EXPECT_EQ(report->removed_here, 1);
  EXPECT_FALSE(here(second));
  EXPECT_EQ(objects().size(), 2U);
}

TEST_F(EventArchiveTest, KeepsAFileThatTheStoreHasLost) {
  config_.local_days = 2;
  const std::string file = add_log(1, {{"acme", "ann"}});
  ASSERT_TRUE(run());
  fs::remove_all(bucket());
  renew();
  clock_.advance(days(5));
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::kNotFound);
  EXPECT_TRUE(here(file));
}

TEST_F(EventArchiveTest, DeletesObjectsAfterAYear) {
  config_.local_days = 0;
  add_log(2, {{"acme", "ann"}});
  add_log(1, {{"acme", "ann"}});
  ASSERT_TRUE(run());
  ASSERT_EQ(objects().size(), 2U);
  clock_.advance(days(364));
  auto lasting = rules();
  lasting.default_cutoff = {};
  const auto report = run(lasting);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->expired, 1);
  EXPECT_THAT(objects(), ElementsAre(key(365)));
  EXPECT_EQ(count("event_archives"), 1);
}

TEST_F(EventArchiveTest, AnObjectThatIsHeldKeepsNeitherOthersNorErasures) {
  config_.local_days = 0;
  add_log(4, {{"acme", "ann"}});
  add_log(3, {{"acme", "ann"}});
  add_log(1, {{"acme", "ann"}, {"acme", "bob"}});
  ASSERT_TRUE(run());
  clock_.advance(days(363));
  store_of_archive_->held = key(367);
  auto erased = rules();
  erased.default_cutoff = {};
  erased.erasures[{"acme", "ann"}] = clock_.now();
  clock_.advance(std::chrono::minutes(1));
  erased.as_of = clock_.now();
  EXPECT_FALSE(run(erased)) << "what went wrong is told";
  EXPECT_THAT(objects(), ElementsAre(key(367), key(364)));
  EXPECT_THAT(archived(key(364)), ElementsAre("acme/bob"));
}

TEST_F(EventArchiveTest, LeavesObjectsOfOthersAlone) {
  ASSERT_TRUE(store_of_archive_->put("events/readme.txt", "hands off", {}));
  ASSERT_TRUE(store_of_archive_->put("events/2001-01-01/other.tar", "old", {}));
  ASSERT_TRUE(run());
  EXPECT_EQ(objects().size(), 2U);
}

TEST_F(EventArchiveTest, KeepsFilesWhileTheStoreIsAway) {
  config_.local_days = 0;
  const std::string file = add_log(3, {{"acme", "ann"}});
  store_of_archive_->away = true;
  const auto refused = run();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_TRUE(here(file));
  EXPECT_THAT(metrics_.expose(), HasSubstr("asahi_event_archive_waiting_files 1"));
  store_of_archive_->away = false;
  ASSERT_TRUE(run());
  EXPECT_FALSE(here(file));
  EXPECT_THAT(metrics_.expose(), HasSubstr("asahi_event_archive_waiting_files 0"));
}

TEST_F(EventArchiveTest, TrustsNoObjectThatReadsDifferently) {
  config_.local_days = 0;
  const std::string file = add_log(3, {{"acme", "ann"}});
  store_of_archive_->flips = true;
  const auto refused = run();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kCorrupt);
  EXPECT_TRUE(here(file));
  EXPECT_EQ(count("event_archives"), 0);
  store_of_archive_->flips = false;
  ASSERT_TRUE(run());
  EXPECT_FALSE(here(file));
}

TEST_F(EventArchiveTest, GoesOnAfterACrashAtAnyStep) {
  config_.local_days = 0;
  const std::string file = add_log(3, {{"acme", "ann"}});
  // Put, but not noted.
  store_of_archive_->dies_after_puts = 0;
  ASSERT_FALSE(run());
  EXPECT_TRUE(here(file));
  // What the crash left of its work.
  std::ofstream(logs() + "/.archive-" + file + ".gz") << "half";
  renew();
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(here(file));
  EXPECT_THAT(archived(key(3)), ElementsAre("acme/ann"));
  EXPECT_TRUE(fs::is_empty(logs()));
  // Noted and removed: nothing happens again.
  renew();
  EXPECT_EQ(run()->stored, 0);
}

TEST_F(EventArchiveTest, StoresAgainWhatChangedSince) {
  add_log(2, {{"acme", "ann"}, {"acme", "bob"}});
  ASSERT_TRUE(run());
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  ASSERT_TRUE(clean_logs(logs(), "events_" + day(0) + ".jsonl", erased));
  const auto report = run(erased);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->stored, 1);
  EXPECT_THAT(archived(key(2)), ElementsAre("acme/bob"));
}

TEST_F(EventArchiveTest, ErasesAUserFromWhatLiesInTheStore) {
  config_.local_days = 0;
  add_log(5, {{"acme", "ann"}, {"acme", "bob"}, {"other", "ann"}});
  add_log(4, {{"acme", "ann"}});
  add_log(3, {{"acme", "bob"}});
  ASSERT_TRUE(run());
  clock_.advance(std::chrono::minutes(1));
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  clock_.advance(std::chrono::minutes(1));
  erased.as_of = clock_.now();
  const auto report = run(erased);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rewritten, 2);
  EXPECT_EQ(report->erased_lines, 2);
  EXPECT_THAT(objects(), ElementsAre(key(5), key(3)));  // the day of ann alone is gone
  EXPECT_THAT(archived(key(5)), ElementsAre("acme/bob", "other/ann"));
  // Done once, not every day until the request is forgotten.
  EXPECT_EQ(run(erased)->rewritten, 0);
}

TEST_F(EventArchiveTest, ErasesFromObjectsOfNodesThatAreGone) {
  config_.local_days = 0;
  renew("gone");
  add_log(5, {{"acme", "ann"}, {"acme", "bob"}});
  ASSERT_TRUE(run());
  renew("n1");
  clock_.advance(std::chrono::minutes(1));
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  ASSERT_TRUE(run(erased));
  EXPECT_THAT(archived(key(5, "gone")), ElementsAre("acme/bob"));
}

TEST_F(EventArchiveTest, TakesOutWhatAnOrganisationKeepsNoLonger) {
  config_.local_days = 0;
  add_log(5, {{"short", "s"}, {"acme", "a"}});
  ASSERT_TRUE(run(rules({{"short", 10}, {"acme", 100}})));
  EXPECT_THAT(archived(key(5)), ElementsAre("short/s", "acme/a"));
  clock_.advance(days(7));
  auto report = run(rules({{"short", 10}, {"acme", 100}}));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rewritten, 1);
  EXPECT_THAT(archived(key(12)), ElementsAre("acme/a"));
  EXPECT_EQ(run(rules({{"short", 10}, {"acme", 100}}))->rewritten, 0);
  // A shorter time than before counts for what is stored already.
  report = run(rules({{"short", 10}, {"acme", 5}}));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(objects().empty());
  EXPECT_EQ(count("event_archives"), 0);
}

TEST_F(EventArchiveTest, GoesOnAfterACrashWhileItRewrote) {
  config_.local_days = 0;
  add_log(5, {{"acme", "ann"}, {"acme", "bob"}, {"acme", "cid"}});
  ASSERT_TRUE(run());
  clock_.advance(std::chrono::minutes(1));
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  store_of_archive_->dies_after_puts = 0;
  ASSERT_FALSE(run(erased));  // put, but not noted
  EXPECT_THAT(archived(key(5)), ElementsAre("acme/bob", "acme/cid"));
  renew();
  erased.erasures[{"acme", "bob"}] = clock_.now();
  ASSERT_TRUE(run(erased));
  EXPECT_THAT(archived(key(5)), ElementsAre("acme/cid"));
}

TEST_F(EventArchiveTest, DoesNotRewriteWhatIsNotWhatItStored) {
  config_.local_days = 0;
  add_log(5, {{"acme", "ann"}, {"acme", "bob"}});
  add_log(4, {{"acme", "ann"}});
  ASSERT_TRUE(run());
  const auto other = store_of_archive_->get(key(4), 1 << 20).value();
  ASSERT_TRUE(store_of_archive_->put(key(5), other, {}));
  clock_.advance(std::chrono::minutes(1));
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  const auto report = run(erased);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::kCorrupt);
  // The other day was cleaned all the same.
  EXPECT_THAT(objects(), ElementsAre(key(5)));
}

TEST_F(EventArchiveTest, LetsTheOtherNodeHaveItsWay) {
  config_.local_days = 0;
  add_log(5, {{"acme", "ann"}, {"acme", "bob"}, {"acme", "cid"}});
  ASSERT_TRUE(run());
  const auto packed = store_of_archive_->get(key(5), 1 << 20).value();
  clock_.advance(std::chrono::minutes(1));
  LogRules erased = rules();
  erased.erasures[{"acme", "ann"}] = clock_.now();
  store_of_archive_->on_put = [&] {
    store_of_archive_->on_put = nullptr;
    ASSERT_TRUE(store_of_archive_->put(key(5), packed, {}));  // somebody wrote it meanwhile
  };
  const auto report = run(erased);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rewritten, 0);
  EXPECT_EQ(run(erased)->rewritten, 1);
  EXPECT_THAT(archived(key(5)), ElementsAre("acme/bob", "acme/cid"));
}

TEST_F(EventArchiveTest, GivesDaysBack) {
  config_.local_days = 0;
  for (int age = 5; age > 0; --age) add_log(age, {{"acme", "day" + std::to_string(age)}});
  ASSERT_TRUE(run());
  const auto restored =
      restore_events(*store_of_archive_, day(4), day(2), folder_.path() + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(*restored, 3);
  std::ifstream in(folder_.path() + "/back/n1/events_" + day(3) + ".jsonl");
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(event_from_json(line)->user_id, "day3");
  EXPECT_EQ(*restore_events(*store_of_archive_, "2001-01-01", "2001-01-02", folder_.path()), 0);
}

TEST_F(EventArchiveTest, RunsInRetentionAfterTheFilesHereAreClean) {
  config_.local_days = 0;
  const std::string open = add_log(0, {{"acme", "ann"}});
  const std::string old = add_log(20, {{"short", "gone"}, {"acme", "ann"}});
  set_profile("short", R"({"retention_days":10})");
  ASSERT_TRUE(database_->query_blocking(
      {"INSERT INTO event_log_positions (node_id, file, byte_offset) VALUES ('n1', ?, 0)",
       {open}}));
  boost::asio::thread_pool files(1);
  const auto report = loops_.wait_for([&] {
    return run_retention(
        {.policies = policies_,
         .database = *database_,
         .cache = cache_,
         .store = store_,
         .audit = audit_,
         .files = files,
         .clock = clock_,
         .log_dir = logs(),
         .node_id = "n1",
         .archive = [this](LogRules rules, std::string open_file) -> Task<json::object> {
           ASAHI_CO_TRY(const ArchiveReport done,
                        co_await archive_->run(std::move(rules), std::move(open_file)));
           co_return report_json(done);
         }});
  });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->archive.at("stored").as_int64(), 1);
  EXPECT_FALSE(here(old));
  EXPECT_THAT(archived(key(20)), ElementsAre("acme/ann"));
}

TEST_F(EventArchiveTest, IsAbsentWithoutUrl) {
  const ArchiveConfig none;
  const auto made = EventArchive::make({none, *database_, clock_, metrics_, logs(), "n1"});
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, nullptr);
}

}  // namespace
}  // namespace asahi::gateway
