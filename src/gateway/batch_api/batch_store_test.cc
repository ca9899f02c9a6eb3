#include "gateway/batch_api/batch_store.h"

#include <gtest/gtest.h>

#include "gateway/batch_api/caller.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway {
namespace {

using sql::testing::Engine;
namespace status = batch_status;

class BatchStoreTest : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database({})) return;
    migrator_ = std::make_unique<sql::Migrator>(*db_, migrations());
    const auto done = migrator_->upgrade();
    ASSERT_TRUE(done) << done.error().message;
    ring_.set(KeyRing::make({Secret(std::string(64, 'a'))}, {.pbkdf2_iterations = 1'000}).value());
    store_ = std::make_unique<BatchStore>(*db_, &ring_, clock_);
  }
  template <class Make>
  auto run(Make make) {
    return loops_.wait_for(std::move(make));
  }
  /// The value of a task that must succeed.
  template <class Make>
  auto must(Make make) {
    auto done = loops_.wait_for(std::move(make));
    EXPECT_TRUE(done) << done.error().message;
    return std::move(*done);
  }
  template <class Make>
  void ok(Make make) {
    const auto done = loops_.wait_for(std::move(make));
    EXPECT_TRUE(done) << done.error().message;
  }

  StoredFile file_of(std::string id, std::string org = "acme", bool sealed = false) {
    return {.id = std::move(id),
            .org_id = std::move(org),
            .user_id = "u1",
            .filename = "in.jsonl",
            .purpose = "batch",
            .sealed = sealed,
            .created_at = store_->now(),
            .expires_at = store_->now() + 1'000};
  }
  Batch batch_of(std::string id, std::string org = "acme", bool sealed = false) {
    Batch batch;
    batch.id = std::move(id);
    batch.org_id = std::move(org);
    batch.user_id = "u1";
    batch.caller = "{}";
    batch.endpoint = "/v1/chat/completions";
    batch.input_file_id = "file-1";
    batch.status = status::kValidating;
    batch.sealed = sealed;
    batch.created_at = store_->now();
    batch.expires_at = store_->now() + 86'400'000;
    return batch;
  }
  void add(const Batch& batch) {
    ok([&] { return store_->add_batch(batch, 10); });
  }
  Batch claim(std::string worker = "node_1") {
    auto batches = must([&] { return store_->claim(worker, 5, 30'000); });
    EXPECT_EQ(batches.size(), 1U);
    return batches.empty() ? Batch() : batches.front();
  }
  std::vector<BatchRow> rows(int count) {
    std::vector<BatchRow> rows;
    for (int i = 1; i <= count; ++i)
      rows.push_back({.line = i, .custom_id = "r" + std::to_string(i), .body = R"({"n":1})"});
    return rows;
  }

  ManualClock clock_;
  identity::Live<KeyRing> ring_;
  std::unique_ptr<sql::Migrator> migrator_;
  std::unique_ptr<BatchStore> store_;
  testing::Loops loops_;
};

TEST_P(BatchStoreTest, KeepsAFileInPartsForItsOrganisationAlone) {
  std::string content(2'500'000, 'x');
  content[1'500'000] = '\0';
  const StoredFile file =
      must([&] { return store_->add_file(file_of("file-1"), content, 10'000'000); });
  EXPECT_EQ(file.parts, 3);
  std::string read;
  for (std::int64_t seq = 0; seq < file.parts; ++seq)
    read += must([&] { return store_->part(file, seq); });
  EXPECT_EQ(read, content);
  EXPECT_TRUE(must([&] { return store_->file("acme", "file-1"); }));
  EXPECT_FALSE(must([&] { return store_->file("other", "file-1"); }));
  EXPECT_FALSE(must([&] { return store_->remove_file("other", "file-1"); }));
  EXPECT_TRUE(must([&] { return store_->remove_file("acme", "file-1"); }));
  EXPECT_FALSE(must([&] { return store_->file("acme", "file-1"); }));
  EXPECT_EQ(run([&] { return store_->part(file, 0); }).error().code, Errc::kCorrupt);
}

TEST_P(BatchStoreTest, BoundsTheFilesOfAnOrganisation) {
  (void)must([&] { return store_->add_file(file_of("file-1"), "12345678", 10); });
  EXPECT_EQ(run([&] { return store_->add_file(file_of("file-2"), "123", 10); }).error().code,
            Errc::kTooLarge);
  (void)must([&] { return store_->add_file(file_of("file-3", "other"), "123", 10); });
}

TEST_P(BatchStoreTest, EncryptsWhatMustBe) {
  const StoredFile file =
      must([&] { return store_->add_file(file_of("file-1", "acme", true), "secret", 10'000); });
  EXPECT_EQ(must([&] { return store_->part(file, 0); }), "secret");
  const auto raw = db_->query_blocking({"SELECT content FROM batch_file_parts", {}});
  ASSERT_TRUE(raw);
  EXPECT_EQ(std::get<sql::Blob>(raw->at(0, "content")).bytes.find("secret"), std::string::npos);
  add(batch_of("batch_1", "acme", true));
  const Batch batch = claim();
  ok([&] { return store_->add_rows(batch, rows(1)); });
  ok([&] { return store_->close_row(batch, 1, RowState::kAnswered, "answer"); });
  const auto stored = must([&] { return store_->rows_after(batch, 0, 10); });
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].body, R"({"n":1})");
  EXPECT_EQ(stored[0].output, "answer");
}

TEST_P(BatchStoreTest, ListsInPagesWithoutWhatHasExpired) {
  for (const char* id : {"file-1", "file-2", "file-3"})
    (void)must([&] { return store_->add_file(file_of(id), "1", 1'000); });
  const auto first = must([&] { return store_->files("acme", {.limit = 2}); });
  ASSERT_EQ(first.items.size(), 2U);
  EXPECT_EQ(first.items[0].id, "file-3");
  EXPECT_TRUE(first.more);
  const auto second = must(
      [&] { return store_->files("acme", {.limit = 2, .after = "file-2", .purpose = "batch"}); });
  ASSERT_EQ(second.items.size(), 1U);
  EXPECT_FALSE(second.more);
  clock_.advance(std::chrono::seconds(2));
  EXPECT_TRUE(must([&] { return store_->files("acme", {}); }).items.empty());
  ok([&] { return store_->purge(1'000); });
  const auto left = db_->query_blocking({"SELECT COUNT(*) AS n FROM batch_file_parts", {}});
  EXPECT_EQ(left->integer(0, "n"), 0);
}

TEST_P(BatchStoreTest, OneWorkerAtATimeHoldsABatch) {
  add(batch_of("batch_1"));
  const Batch first = claim("node_1");
  EXPECT_TRUE(must([&] { return store_->claim("node_2", 5, 30'000); }).empty());
  clock_.advance(std::chrono::seconds(31));
  Batch second = claim("node_2");
  // Whoever lost it changes nothing any more.
  EXPECT_EQ(run([&] { return store_->renew(first, 30'000); }).error().code, Errc::kConflict);
  EXPECT_EQ(run([&] { return store_->save(first); }).error().code, Errc::kConflict);
  second.status = status::kInProgress;
  ok([&] { return store_->save(second); });
  ok([&] { return store_->release(second, store_->now() + 5'000); });
  EXPECT_TRUE(must([&] { return store_->claim("node_1", 5, 30'000); }).empty());
  clock_.advance(std::chrono::seconds(5));
  (void)claim("node_1");
  ok([&] { return store_->forget_leases("node_1"); });
  (void)claim("node_1");
}

TEST_P(BatchStoreTest, ACancelledBatchIsDueAtOnceAndStaysCancelling) {
  add(batch_of("batch_1"));
  Batch batch = claim();
  EXPECT_FALSE(must([&] { return store_->cancel("other", "batch_1"); }));
  EXPECT_TRUE(must([&] { return store_->cancel("acme", "batch_1"); }));
  batch.status = status::kInProgress;
  batch.total = 7;
  ok([&] { return store_->save(batch); });
  ok([&] { return store_->release(batch, store_->now() + 60'000); });
  const Batch again = claim();
  EXPECT_EQ(again.status, status::kCancelling);
  EXPECT_EQ(again.total, 7);
  EXPECT_FALSE(must([&] { return store_->cancel("acme", "batch_1"); }));
}

TEST_P(BatchStoreTest, ARowIsClosedOnce) {
  add(batch_of("batch_1"));
  const Batch batch = claim();
  ok([&] { return store_->add_rows(batch, rows(250)); });
  ok([&] { return store_->close_row(batch, 1, RowState::kAnswered, "first"); });
  ok([&] { return store_->close_row(batch, 1, RowState::kRefused, "second"); });
  ok([&] { return store_->retry_row(batch, 1, 1, 0); });
  ok([&] { return store_->retry_row(batch, 2, 1, store_->now() + 1'000); });
  auto due = must([&] { return store_->due_rows(batch, 300); });
  EXPECT_EQ(due.size(), 248U);
  const auto after = must([&] { return store_->rows_after(batch, 0, 1); });
  EXPECT_EQ(after[0].output, "first");
  auto counts = must([&] { return store_->counts("batch_1"); });
  EXPECT_EQ(counts.pending, 249);
  EXPECT_EQ(counts.answered, 1);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(must([&] { return store_->due_rows(batch, 300); }).size(), 249U);
  ok([&] { return store_->give_up_rows(batch, "{}"); });
  counts = must([&] { return store_->counts("batch_1"); });
  EXPECT_EQ(counts.pending, 0);
  EXPECT_EQ(counts.failed, 249);
}

TEST_P(BatchStoreTest, AVendorsBatchTakesRowsAndGivesThemBack) {
  add(batch_of("batch_1"));
  const Batch batch = claim();
  ok([&] { return store_->add_rows(batch, rows(3)); });
  ok([&] {
    return store_->add_job(
        {.id = "vb_1", .batch_id = "batch_1", .provider = "openai", .model = "gpt-4o-mini"},
        {1, 2});
  });
  EXPECT_EQ(must([&] { return store_->due_rows(batch, 10); }).size(), 1U);
  EXPECT_EQ(must([&] { return store_->rows_of_job(batch, "vb_1", 1, 10); }).size(), 1U);
  auto jobs = must([&] { return store_->jobs("batch_1"); });
  ASSERT_EQ(jobs.size(), 1U);
  jobs[0].vendor_id = "batch_abc";
  jobs[0].state = VendorJob::State::kDone;
  ok([&] { return store_->close_row(batch, 2, RowState::kAnswered, "x"); });
  ok([&] { return store_->reopen_rows("vb_1", 1); });
  ok([&] { return store_->save_job(jobs[0]); });
  EXPECT_TRUE(must([&] { return store_->jobs("batch_1"); }).empty());
  const auto due = must([&] { return store_->due_rows(batch, 10); });
  ASSERT_EQ(due.size(), 2U);
}

TEST_P(BatchStoreTest, BoundsUnfinishedBatches) {
  ok([&] { return store_->add_batch(batch_of("batch_1"), 1); });
  const auto refused = run([&] { return store_->add_batch(batch_of("batch_2"), 1); });
  EXPECT_EQ(refused.error().code, Errc::kRateLimited);
  ok([&] { return store_->add_batch(batch_of("batch_3", "other"), 1); });
}

TEST_P(BatchStoreTest, AUsersFilesAndBatchesCanBeErased) {
  (void)must([&] { return store_->add_file(file_of("file-1"), "1", 1'000); });
  add(batch_of("batch_1"));
  const Batch batch = claim();
  ok([&] { return store_->add_rows(batch, rows(3)); });
  for (const sql::Statement& statement : erase_batches_of("acme", "u1"))
    ASSERT_TRUE(db_->query_blocking(statement));
  for (const char* table : {"batch_files", "batch_file_parts", "batches", "batch_rows"}) {
    const auto left = db_->query_blocking({"SELECT COUNT(*) AS n FROM " + std::string(table), {}});
    EXPECT_EQ(left->integer(0, "n"), 0) << table;
  }
}

TEST_P(BatchStoreTest, AKeyStandsUntilItIsRevokedWithoutASuccessor) {
  const auto key = [&](std::string prefix, int revoked, sql::Value rotated_from) {
    const auto done = db_->query_blocking(
        {"INSERT INTO api_keys (key_prefix, key_hash, user_id, org_id, expires_at, revoked, "
         "rotated_from) VALUES (?, 'h', 'u', 'acme', '2099-01-01T00:00:00Z', " +
             std::string(revoked == 1 ? "TRUE" : "FALSE") + ", ?)",
         {prefix, rotated_from}});
    ASSERT_TRUE(done) << done.error().message;
  };
  key("good", 0, {});
  key("gone", 1, {});
  key("old", 1, {});
  key("new", 0, std::string("old"));
  EXPECT_TRUE(must([&] { return store_->key_stands("good"); }));
  EXPECT_TRUE(must([&] { return store_->key_stands("unknown"); }));
  EXPECT_FALSE(must([&] { return store_->key_stands("gone"); }));
  EXPECT_TRUE(must([&] { return store_->key_stands("old"); }));
}

INSTANTIATE_TEST_SUITE_P(Engines, BatchStoreTest, ::testing::ValuesIn(sql::testing::all_engines()),
                         sql::testing::engine_name);

TEST(BatchCaller, ComesBackAsItWas) {
  identity::Principal caller;
  caller.kind = identity::Principal::Kind::kApiKey;
  caller.org_id = "acme";
  caller.user_id = "u1";
  caller.key_prefix = "ask_acme_ab";
  caller.permissions.add(identity::Permission::kInfer);
  caller.plan = identity::Plan{.name = "pro", .requests_per_day = 7, .models = 2, .users = 1};
  caller.allowed_models = {"gpt-*"};
  caller.tokens_per_minute = 100;
  const auto read = read_caller(caller_json(caller));
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->kind, caller.kind);
  EXPECT_EQ((*read)->org_id, "acme");
  EXPECT_EQ((*read)->user_id, "u1");
  EXPECT_EQ((*read)->key_prefix, caller.key_prefix);
  EXPECT_EQ((*read)->permissions, caller.permissions);
  EXPECT_EQ((*read)->plan->requests_per_day, 7);
  EXPECT_EQ((*read)->allowed_models, caller.allowed_models);
  EXPECT_EQ((*read)->tokens_per_minute, 100);
  EXPECT_FALSE((*read)->requests_per_minute);
  EXPECT_FALSE(read_caller("nonsense"));
}

}  // namespace
}  // namespace asahi::gateway
