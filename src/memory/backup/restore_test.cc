#include "memory/backup/restore.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/ids.h"
#include "memory/backup/sql_copy.h"
#include "memory/hot/testing/samples.h"
#include "memory/module.h"
#include "storage/object/folder_store.h"
#include "storage/sql/testing/test_database.h"

namespace asahi::memory {
namespace {

namespace fs = std::filesystem;
using hot_testing::sample;
using hot_testing::upsert;
using ::testing::HasSubstr;

/// A backup of all parts, made by hand, and a machine that has lost or changed everything since.
class RestoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = (fs::temp_directory_path() / random_id("asahi-restore-", 12)).string();
    backups_ = object::FolderStore::open(root_ + "/backups").value();
    bucket_ = object::FolderStore::open(root_ + "/cold/objects").value();
    place_ = sql::testing::TestDatabase::make(sql::testing::Engine::kSqliteFile).value();
    db_ = sql::open_database(place_->options()).value();
    ASSERT_TRUE(sql::Migrator(*db_, migrations()).upgrade());
    make_backup();
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  static std::unique_ptr<hot::Engine> open(const std::string& folder) {
    hot::EngineOptions options;
    options.folder = folder;
    return hot::Engine::open(std::move(options)).value();
  }
  void snapshot(const std::string& tier, const std::string& id) {
    const auto engine = open(root_ + "/first/" + tier);
    ASSERT_TRUE(upsert(*engine, {sample(id, "of the backup")}));
    ASSERT_TRUE(engine->feed_name());
    ASSERT_TRUE(engine->copy_to(root_ + "/copy/" + tier));
  }
  cold::ColdFile cold_file(const std::string& name, const std::string& bytes) {
    cold::ColdFile file;
    file.key = "acme/conversations/desk/2026/01/01/" + name;
    file.tenant = "acme";
    file.system_id = "desk";
    file.rows = 1;
    file.bytes = bytes.size();
    file.sha256 = sha256(bytes);
    file.generation = 1;
    return file;
  }
  void make_backup() {
    snapshot("hot", "a");
    snapshot("warm", "b");
    const cold::ColdFile file = cold_file("one.parquet", "parquet bytes");
    const fs::path object = root_ + "/copy/cold/objects/" + file.key;
    fs::create_directories(object.parent_path());
    std::ofstream(object) << "parquet bytes";
    ASSERT_TRUE(
        cold::FileCatalogue(root_ + "/copy/cold/catalogue").commit({.removed = {}, .put = {file}}));
    webhook("kept");
    fs::create_directories(root_ + "/copy/sql");
    ASSERT_TRUE(write_sql(*db_, root_ + "/copy/sql", [] { return false; }));
    made_ = write_backup(*backups_, {root_ + "/copy", {"sql", "hot", "warm", "cold"}},
                         make_backup_id(clock_.now()), clock_.now(), "1.0")
                .value();
    // What is there now is something else.
    webhook("new");
    for (const char* tier : {"hot", "warm"}) {
      const auto engine = open(root_ + "/now/" + tier);
      ASSERT_TRUE(upsert(*engine, {sample("later", "not of the backup")}));
    }
    ASSERT_TRUE(bucket_->put(cold_file("new.parquet", "other").key, "other"));
    ASSERT_TRUE(catalogue_.commit({.removed = {}, .put = {cold_file("new.parquet", "other")}}));
  }
  void webhook(const std::string& id) {
    ASSERT_TRUE(db_->query_blocking(
        {"INSERT INTO memory_webhooks (tenant, webhook_id, url, alert_types, created_at_ms,"
         " created_by) VALUES ('acme', ?, ?, '[]', 1, 'ann')",
         {id, "https://" + id}}));
  }
  Result<std::vector<RestoredPart>> restore() {
    return restore_backup(*backups_, made_, places_, clock_);
  }
  /// "hot: ids; warm: ids; cold: keys; webhooks" of now.
  std::string state() {
    std::string out;
    for (const char* tier : {"hot", "warm"}) {
      const auto engine = open(root_ + "/now/" + tier);
      out += std::string(tier) + ":";
      for (const char* id : {"a", "b", "later"}) {
        if (engine->get({{"acme", "agent", id}}).value()[0]) out += std::string(" ") + id;
      }
      out += "; ";
    }
    out += "cold:";
    for (const cold::ColdFile& file : catalogue_.load().value())
      out += " " + fs::path(file.key).filename().string();
    const auto rows =
        db_->query_blocking({"SELECT webhook_id FROM memory_webhooks ORDER BY webhook_id", {}})
            .value();
    out += "; sql:";
    for (std::size_t i = 0; i < rows.size(); ++i) out += " " + rows.text(i, "webhook_id");
    return out;
  }
  void expect_untouched(const Result<std::vector<RestoredPart>>& refused, Errc code,
                        const std::string& what) {
    ASSERT_FALSE(refused) << what;
    EXPECT_EQ(refused.error().code, code) << what << ": " << refused.error().message;
    EXPECT_EQ(state(), kNow) << what;
    for (const auto& entry : fs::recursive_directory_iterator(root_ + "/now")) {
      const std::string name = entry.path().filename().string();
      EXPECT_FALSE(name.contains(".restored-") || name.contains(".before-") ||
                   name.starts_with("restore-"))
          << what << " left " << name;
    }
  }

  static constexpr auto kNow = "hot: later; warm: later; cold: new.parquet; sql: kept new";
  static constexpr auto kThen = "hot: a; warm: b; cold: one.parquet; sql: kept";

  ManualClock clock_;
  std::string root_;
  std::unique_ptr<object::ObjectStore> backups_, bucket_;
  std::unique_ptr<sql::testing::TestDatabase> place_;
  std::unique_ptr<sql::Database> db_;
  cold::MemoryCatalogue catalogue_;
  BackupManifest made_;
  RestorePlaces places_{.hot = {}, .warm = {}, .cold = {}, .database = nullptr, .folder = {}};

  void use_all() {
    places_.hot = root_ + "/now/hot";
    places_.warm = root_ + "/now/warm/";
    places_.cold.emplace(*bucket_, catalogue_);
    places_.database = db_.get();
    places_.folder = root_ + "/now";
  }
};

TEST_F(RestoreTest, PutsEveryPartInPlaceAndSetsAsideWhatWasThere) {
  use_all();
  ASSERT_EQ(state(), kNow);
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(state(), kThen);
  EXPECT_EQ(bucket_->get(cold_file("one.parquet", "").key, 100).value(), "parquet bytes");
  EXPECT_TRUE(bucket_->head(cold_file("new.parquet", "").key).value())
      << "objects of now are not erased";
  ASSERT_EQ(done->size(), 4U);
  for (const RestoredPart& part : *done) {
    if (part.part == "sql") continue;
    EXPECT_TRUE(fs::exists(part.aside)) << part.part;
  }
  EXPECT_TRUE(open((*done)[0].aside)->get({{"acme", "agent", "later"}}).value()[0]);
  EXPECT_EQ(open(root_ + "/now/hot")->feed_name().value(),
            open(root_ + "/first/hot")->feed_name().value())
      << "what is derived goes on where the backup was";

  const auto again = restore();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(state(), kThen) << "a second one changes nothing";
}

TEST_F(RestoreTest, OfSeveralHotStoresOneIsNamed) {
  fs::remove_all(root_ + "/copy/hot");
  snapshot("hot", "a");
  fs::rename(root_ + "/copy/hot", root_ + "/copy/moved");
  fs::create_directories(root_ + "/copy/hot");
  fs::rename(root_ + "/copy/moved", root_ + "/copy/hot/north");
  fs::copy(root_ + "/copy/hot/north", root_ + "/copy/hot/south", fs::copy_options::recursive);
  made_ = write_backup(*backups_, {root_ + "/copy", {"hot"}}, make_backup_id(clock_.now()),
                       clock_.now(), "1.0")
              .value();
  places_.hot = root_ + "/now/hot";
  places_.folder = root_ + "/now";
  for (const char* node : {"", "east"}) {
    places_.hot_node = node;
    const auto refused = restore();
    expect_untouched(refused, Errc::kInvalidArgument, node);
    EXPECT_THAT(refused.error().message, HasSubstr("north, south"));
  }
  places_.hot_node = "south";
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(state(), "hot: a; warm: later; cold: new.parquet; sql: kept new");
}

TEST_F(RestoreTest, FillsAMachineThatHasNothing) {
  use_all();
  fs::remove_all(root_ + "/now");
  fs::remove_all(root_ + "/cold");
  bucket_ = object::FolderStore::open(root_ + "/cold/objects").value();
  catalogue_ = {};
  ASSERT_TRUE(db_->query_blocking({"DELETE FROM memory_webhooks", {}}));
  use_all();
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(state(), kThen);
  for (const RestoredPart& part : *done) EXPECT_EQ(part.aside, "") << part.part;
}

TEST_F(RestoreTest, RefusesADamagedBackupWhateverIsDamaged) {
  use_all();
  for (const BackupFile& file : made_.files) {
    const std::string key = made_.id + "/" + file.tier + "/" + file.path;
    const std::string good = backups_->get(key, 1 << 24).value();
    std::string changed = good;
    if (!changed.empty()) changed[changed.size() / 2] ^= 1;
    for (const std::string& bad : {good.substr(0, good.size() / 2), changed, good + "x"}) {
      if (bad == good) continue;
      ASSERT_TRUE(backups_->put(key, bad));
      expect_untouched(restore(), Errc::kCorrupt, key);
    }
    ASSERT_TRUE(backups_->erase(key));
    expect_untouched(restore(), Errc::kCorrupt, key + " lost");
    ASSERT_TRUE(backups_->put(key, good));
  }
  EXPECT_TRUE(restore());
}

TEST_F(RestoreTest, RefusesWhatDoesNotFitThoughItsSumsDo) {
  use_all();
  // A list that names an object which the backup does not have.
  fs::remove_all(root_ + "/copy/cold/objects");
  fs::create_directories(root_ + "/copy/cold/objects");
  made_ = write_backup(*backups_, {root_ + "/copy", {"sql", "hot", "warm", "cold"}}, "bak_2",
                       clock_.now(), "1.0")
              .value();
  expect_untouched(restore(), Errc::kCorrupt, "an object that the list names");
}

TEST_F(RestoreTest, PutsBackWhatItExchangedWhenALaterPartFails) {
  use_all();
  // The database refuses a row that is there twice.
  const std::string path = root_ + "/copy/sql/memory_webhooks.jsonl";
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string line = text.str().substr(text.str().find('\n') + 1);
  std::ofstream(path, std::ios::app) << line;
  made_ = write_backup(*backups_, {root_ + "/copy", {"sql", "hot", "warm", "cold"}}, "bak_2",
                       clock_.now(), "1.0")
              .value();
  expect_untouched(restore(), Errc::kConflict, "a row twice");
}

TEST_F(RestoreTest, SetsADamagedCatalogueAside) {
  use_all();
  const std::string file = root_ + "/now/catalogue";
  std::ofstream(file) << "no line of a catalogue\nnor this one\n";
  cold::FileCatalogue damaged(file);
  places_.cold.emplace(*bucket_, damaged, file);
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(damaged.load()->size(), 1U);
  const auto cold = std::ranges::find((*done), "cold", &RestoredPart::part);
  EXPECT_TRUE(fs::exists(cold->aside));
}

TEST_F(RestoreTest, LeavesTiersAloneThatSomebodyHasOpen) {
  use_all();
  {
    const auto engine = open(root_ + "/now/warm");
    const auto refused = restore();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kConflict);
    EXPECT_THAT(refused.error().message, HasSubstr("stop it first"));
  }
  EXPECT_EQ(state(), kNow);
}

TEST_F(RestoreTest, RestoresOnlyWhatIsAskedFor) {
  places_.warm = root_ + "/now/warm";
  places_.folder = root_ + "/now";
  const auto done = restore();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(state(), "hot: later; warm: b; cold: new.parquet; sql: kept new");
}

}  // namespace
}  // namespace asahi::memory
