// Bundles from the bucket, and files, all the way into the store and the ledger.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/sha256_stream.h"
#include "memory/ingest/bundle.h"
#include "memory/ingest/discovery.h"
#include "memory/ingest/import.h"
#include "memory/ingest/worker.h"
#include "memory/testing/ingest_fixture.h"
#include "memory/testing/packed.h"
#include "storage/object/s3_store.h"
#include "storage/object/testing/s3_server.h"

namespace asahi::memory {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Remembers what it was told.
class Recorder final : public DerivedObserver {
 public:
  Aw<void> seen(std::vector<Seen> memories) override {
    for (Seen& memory : memories) all.push_back(std::move(memory));
    co_return;
  }
  std::vector<Seen> all;
};

/// An embedder that must be waited for, and fails on demand.
class SlowEmbedder final : public llm::TextEmbedder {
 public:
  explicit SlowEmbedder(llm::TextEmbedder& inner) : inner_(inner) {}
  const llm::EmbedderTraits& traits() const override { return inner_.traits(); }
  std::optional<llm::Embedded> try_embed(std::string_view) override { return std::nullopt; }
  Task<std::vector<llm::Embedded>> embed(std::vector<std::string> texts, llm::EmbedPurpose purpose,
                                         llm::CallContext context) override {
    sizes.push_back(texts.size());
    if (fail_next) {
      fail_next = false;
      co_return fail(Errc::kUnavailable, "the embedder is away");
    }
    co_return co_await inner_.embed(std::move(texts), purpose, std::move(context));
  }
  std::vector<std::size_t> sizes;
  bool fail_next = false;

 private:
  llm::TextEmbedder& inner_;
};

class PipelineTest : public testing::IngestFixture {
 protected:
  void SetUp() override {
    IngestFixture::SetUp();
    intake_ = std::make_unique<Intake>(parts(), Intake::Options{});
  }

  UploadLease lease(const std::string& upload) {
    get<std::uint64_t>([&] { return ledger_->discover({{"default", "agent", upload}}); });
    auto leases = get<std::vector<UploadLease>>([&] { return ledger_->lease("w1", 1); });
    EXPECT_EQ(leases.size(), 1U);
    return leases.empty() ? UploadLease{} : std::move(leases.front());
  }
  UploadState process(const UploadLease& lease, BundleReader::Options options = {},
                      Interruption stop = {}) {
    BundleReader reader(*intake_, *ledger_, bucket(), options);
    trouble_.reset();
    return get<UploadState>([&] { return reader.process(lease, stop, 0.5, trouble_); });
  }
  UploadState take(const std::string& upload, BundleReader::Options options = {}) {
    return process(lease(upload), options);
  }
  void put_files(const std::string& upload, const std::string& manifest_text,
                 const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [name, bytes] : files) put("systems/agent/" + upload + "/" + name, bytes);
    put("systems/agent/" + upload + "/manifest.json", manifest_text);
  }

  std::unique_ptr<Intake> intake_;
  std::optional<Error> trouble_;
};

TEST_F(PipelineTest, ABundleIsStoredWithVectorsAndItsRowTellsSo) {
  put_bundle("u1", 250);
  EXPECT_EQ(take("u1"), UploadState::kDone);
  const Upload upload = row("u1");
  EXPECT_EQ(upload.counts.stored, 250U);
  EXPECT_EQ(upload.counts.items, 250U);
  EXPECT_EQ(upload.counts.bytes, payload(250).size());
  EXPECT_EQ(upload.position, 250U);
  EXPECT_EQ(store_.all().size(), 250U);
  EXPECT_GE(store_.batches(), 3U);
  const Memory memory = store_.all().front();
  EXPECT_EQ(memory.embedding.size(), 64U);
  EXPECT_EQ(memory.embedding_model, embedder_->traits().tag);
  EXPECT_TRUE(memory.metadata.contains("\"upload_id\":\"u1\"")) << memory.metadata;
}

TEST_F(PipelineTest, FilesOfAllCompressionsAndBothFormatsInTheirOrder) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"a.json", testing::packed(Compression::kZstd, payload(3))},
      {"b.jsonl", testing::packed(Compression::kZstd, "{\"content\":\"a line\"}\n")}};
  Sha256Stream sum;
  for (const auto& [name, bytes] : files) sum.add(bytes);
  put_files("u1",
            manifest(4,
                     "\"compressed\":true,\"compression_format\":\"zstd\",\"files\":[\"a.json\","
                     "\"b.jsonl\"],\"checksum\":\"" +
                         to_hex(sum.finish()) + "\""),
            files);
  EXPECT_EQ(take("u1"), UploadState::kDone) << row("u1").error;
  EXPECT_EQ(row("u1").counts.stored, 4U);
  EXPECT_TRUE(get<std::vector<std::optional<Memory>>>([&] {
                return store_.get({{"default", "agent", "u1_3"}});
              }).front());
}

TEST_F(PipelineTest, AWrongChecksumRejectsBeforeAnythingIsStored) {
  put_files("u1", manifest(3, "\"checksum\":\"" + std::string(64, '0') + "\""),
            {{"memories.json", payload(3)}});
  EXPECT_EQ(take("u1"), UploadState::kRejected);
  EXPECT_TRUE(store_.all().empty());
  EXPECT_TRUE(row("u1").error.contains("SHA-256")) << row("u1").error;
}

TEST_F(PipelineTest, ABadManifestRejectsAndSaysAllFaults) {
  put_files("u1", R"({"conversation_count":-1,"version":"x"})", {{"memories.json", payload(1)}});
  EXPECT_EQ(take("u1"), UploadState::kRejected);
  const std::string error = row("u1").error;
  for (const char* field : {"uploaded_at", "conversation_count", "version"})
    EXPECT_TRUE(error.contains(field)) << error;
}

TEST_F(PipelineTest, OneBadItemNeverFailsTheUpload) {
  put_files(
      "u1", manifest(5),
      {{"memories.json",
        R"({"conversations":[{"content":"good"},{"content":7},{"content":""},{"content":"x","embedding":[1]},{"content":"fine"}]})"}});
  EXPECT_EQ(take("u1"), UploadState::kPartial);
  const Upload upload = row("u1");
  EXPECT_EQ(upload.counts,
            (UploadCounts{
                .items = 5, .stored = 2, .skipped = 1, .errors = 2, .bytes = upload.counts.bytes}));
  const auto bad = parse_json(upload.bad_items).value().as_array();
  ASSERT_EQ(bad.size(), 3U);
  EXPECT_EQ(bad[0].at("index").to_number<int>(), 1);
  EXPECT_EQ(bad[0].at("reason"), "bad_content");
  EXPECT_EQ(bad[2].at("reason"), "bad_vector");
}

TEST_F(PipelineTest, CutAndBrokenPayloadsKeepWhatCameBefore) {
  const std::string whole = payload(150);
  put_files("cut", manifest(150), {{"memories.json", whole.substr(0, whole.size() - 30)}});
  EXPECT_EQ(take("cut"), UploadState::kPartial);
  EXPECT_EQ(row("cut").counts.stored, 149U);
  EXPECT_TRUE(row("cut").error.contains("cut")) << row("cut").error;
  put_files("none", manifest(1), {{"memories.json", "no JSON at all"}});
  EXPECT_EQ(take("none"), UploadState::kRejected);
  const std::string packed = testing::packed(Compression::kGzip, payload(500));
  put_files("half", manifest(500, R"("compressed":true,"compression_format":"gzip")"),
            {{"memories.json", packed.substr(0, packed.size() - 20)}});
  const UploadState state = take("half");
  EXPECT_TRUE(state == UploadState::kPartial || state == UploadState::kRejected);
  EXPECT_FALSE(row("half").error.empty());
}

TEST_F(PipelineTest, AnArchiveBombIsRejected) {
  const std::string bomb = testing::packed(
      Compression::kGzip, "{\"conversations\":[\"" + std::string(32 << 20, 'x') + "\"]}");
  put_files("bomb", manifest(1, R"("compressed":true,"compression_format":"gzip")"),
            {{"memories.json", bomb}});
  EXPECT_EQ(take("bomb"), UploadState::kRejected);
  EXPECT_TRUE(row("bomb").error.contains("bomb")) << row("bomb").error;
}

TEST_F(PipelineTest, TheSameUploadTwiceChangesNothing) {
  put_bundle("u1", 20);
  take("u1");
  get<Upload>([&] { return ledger_->retry({"default", "agent", "u1"}, UploadPriority::kNormal); });
  const auto again = get<std::vector<UploadLease>>([&] { return ledger_->lease("w1", 1); });
  EXPECT_EQ(process(again.front()), UploadState::kDone);
  EXPECT_EQ(row("u1").counts.stored, 0U);
  EXPECT_EQ(store_.all().size(), 20U);
  put_bundle("u2", 20, "agent", 10);
  take("u2");
  EXPECT_EQ(row("u2").counts.stored, 10U);
  EXPECT_EQ(row("u2").counts.unchanged, 10U);
}

TEST_F(PipelineTest, GoesOnWhereAFailureStoppedIt) {
  put_bundle("u1", 350);
  const UploadLease first = lease("u1");
  // Two batches go well, the third meets a full disk.
  const Error away = fail(Errc::kUnavailable, "disk full").error();
  int batches = 0;
  Intake::Parts parts = this->parts();
  class Failing final : public DerivedObserver {
   public:
    Failing(testing::MemoryStore& store, int& batches, Error error)
        : store_(store), batches_(batches), error_(std::move(error)) {}
    Aw<void> seen(std::vector<Seen>) override {
      if (++batches_ == 2) store_.fail_upserts(1, error_);
      co_return;
    }

   private:
    testing::MemoryStore& store_;
    int& batches_;
    Error error_;
  } observer(store_, batches, away);
  parts.observer = &observer;
  intake_ = std::make_unique<Intake>(parts, Intake::Options{});
  EXPECT_EQ(process(first), UploadState::kDiscovered);
  ASSERT_TRUE(trouble_);
  EXPECT_EQ(row("u1").position, 200U);
  EXPECT_EQ(row("u1").counts.stored, 200U);
  EXPECT_EQ(row("u1").error, "disk full");
  clock_.advance(seconds(2));
  const auto second = get<std::vector<UploadLease>>([&] { return ledger_->lease("w1", 1); });
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(process(second.front()), UploadState::kDone);
  EXPECT_EQ(row("u1").counts.stored, 350U);
  EXPECT_EQ(store_.all().size(), 350U);
}

TEST_F(PipelineTest, CountsStayRightWhenACrashFellBetweenStoreAndLedger) {
  put_bundle("u1", 100);
  // What the crashed process had stored without telling the ledger.
  const UploadLease first = lease("u1");
  ItemRules rules = intake_->rules("default");
  rules.system_id = "agent";
  rules.upload_id = "u1";
  std::vector<Memory> stored;
  for (int i = 0; i < 60; ++i) {
    const std::string n = std::to_string(i);
    stored.push_back(
        read_item("{\"id\":\"c" + n + "\",\"content\":\"what agent number " + n + " did\"}", rules,
                  static_cast<std::uint64_t>(i))
            .value());
  }
  get<std::vector<UpsertOutcome>>([&] { return intake_->take(stored, {}); });
  clock_.advance(seconds(301));
  const auto second = get<std::vector<UploadLease>>([&] { return ledger_->lease("w2", 1); });
  EXPECT_EQ(process(second.front()), UploadState::kDone);
  EXPECT_EQ(row("u1").counts.stored, 100U);
  EXPECT_EQ(store_.all().size(), 100U);
}

TEST_F(PipelineTest, StopsAtItsDeadlineAndWhenTheServerGoesDown) {
  put_bundle("u1", 10);
  const UploadLease first = lease("u1");
  EXPECT_EQ(process(first, {}, {.deadline = clock_.steady_now()}), UploadState::kDiscovered);
  ASSERT_TRUE(trouble_);
  EXPECT_EQ(trouble_->code, Errc::kTimeout);
  clock_.advance(seconds(2));
  const auto second = get<std::vector<UploadLease>>([&] { return ledger_->lease("w1", 1); });
  EXPECT_EQ(process(second.front(), {}, {.stopping = true}), UploadState::kLeased);
  EXPECT_EQ(row("u1").state, UploadState::kDiscovered);
  EXPECT_EQ(row("u1").attempts, 1);
}

TEST_F(PipelineTest, AMissingPayloadIsTriedAgainAndAnObjectThatChangesToo) {
  put("systems/agent/u1/manifest.json", manifest(1));
  EXPECT_EQ(take("u1"), UploadState::kDiscovered);
  EXPECT_TRUE(row("u1").error.contains("memories.json")) << row("u1").error;
  put("systems/agent/u1/memories.json", payload(1));
  clock_.advance(seconds(2));
  const auto second = get<std::vector<UploadLease>>([&] { return ledger_->lease("w1", 1); });
  EXPECT_EQ(process(second.front()), UploadState::kDone);
}

TEST_F(PipelineTest, DeletesAfterSuccessOnly) {
  put_bundle("good", 2);
  put_files("bad", manifest(1), {{"memories.json", R"({"conversations":[{"content":1}]})"}});
  EXPECT_EQ(take("good", {.delete_after = true}), UploadState::kDone);
  EXPECT_EQ(take("bad", {.delete_after = true}), UploadState::kPartial);
  EXPECT_TRUE(bucket_->list({.prefix = "systems/agent/good/"})->objects.empty());
  EXPECT_EQ(bucket_->list({.prefix = "systems/agent/bad/"})->objects.size(), 2U);
}

TEST_F(PipelineTest, BundlesGoSomeDaysAfterTheyWereTakenIn) {
  put_bundle("first", 2);
  put_files("bad", manifest(1), {{"memories.json", R"({"conversations":[{"content":1}]})"}});
  EXPECT_EQ(take("first"), UploadState::kDone);
  EXPECT_EQ(take("bad"), UploadState::kPartial);
  clock_.advance(std::chrono::hours(24 * 6));
  put_bundle("second", 1);
  EXPECT_EQ(take("second"), UploadState::kDone);
  clock_.advance(std::chrono::hours(25));
  const auto erase = [this] {
    return get<std::uint64_t>([&]() -> Task<std::uint64_t> {
      const auto before = clock_.now() - std::chrono::hours(24 * 7);
      BundleReader reader(*intake_, *ledger_, bucket(), {});
      co_return co_await reader.erase_older(before, 10);
    });
  };
  EXPECT_EQ(erase(), 1U);
  EXPECT_TRUE(bucket_->list({.prefix = "systems/agent/first/"})->objects.empty());
  EXPECT_EQ(bucket_->list({.prefix = "systems/agent/second/"})->objects.size(), 2U) << "younger";
  EXPECT_EQ(bucket_->list({.prefix = "systems/agent/bad/"})->objects.size(), 2U)
      << "what was not taken in as a whole stays";
  EXPECT_EQ(erase(), 0U) << "once";
  EXPECT_EQ(row("first").state, UploadState::kDone);
}

TEST_F(PipelineTest, ABundleThatCannotBeErasedKeepsNoYoungerOne) {
  for (const char* upload : {"first", "second"}) {
    put_bundle(upload, 1);
    EXPECT_EQ(take(upload), UploadState::kDone);
    clock_.advance(std::chrono::hours(1));
  }
  ASSERT_TRUE(
      db_->query_blocking({"CREATE TRIGGER stuck BEFORE UPDATE OF bundle_erased ON memory_uploads"
                           " WHEN NEW.upload_id = 'first' BEGIN SELECT RAISE(ABORT, 'no'); END",
                           {}}));
  const auto erased =
      net::run_sync<Result<std::uint64_t>>(loops_.at(0), [this]() -> Task<std::uint64_t> {
        BundleReader reader(*intake_, *ledger_, bucket(), {});
        co_return co_await reader.erase_older(clock_.now(), 10);
      });
  EXPECT_FALSE(erased) << "what went wrong is told";
  EXPECT_TRUE(bucket_->list({.prefix = "systems/agent/second/"})->objects.empty());
}

TEST_F(PipelineTest, EmbedsInBatchesWhatCannotBeHadAtOnceAndKeepsOurOwnVectors) {
  SlowEmbedder slow(*embedder_);
  Intake::Parts parts{store_, slow, work_, clock_, {}};
  intake_ = std::make_unique<Intake>(parts, Intake::Options{});
  std::string vector = "[1";
  for (int i = 1; i < 64; ++i) vector += ",0";
  vector += "]";
  std::string text = R"({"conversations":[{"id":"own","content":"own","embedding":)" + vector +
                     R"(,"embedding_model":")" + embedder_->traits().tag +
                     R"("},{"id":"foreign","content":"foreign","embedding":)" + vector + "}";
  for (int i = 0; i < 70; ++i) text += ",{\"content\":\"n" + std::to_string(i) + "\"}";
  put_files("u1", manifest(72), {{"memories.json", text + "]}"}});
  EXPECT_EQ(take("u1"), UploadState::kDone);
  EXPECT_THAT(slow.sizes, ::testing::ElementsAre(32U, 32U, 7U));
  const auto rows = get<std::vector<std::optional<Memory>>>(
      [&] { return store_.get({{"default", "agent", "own"}, {"default", "agent", "foreign"}}); });
  EXPECT_EQ(rows[0]->embedding[0], 1);
  EXPECT_NE(rows[1]->embedding[0], 1);
  EXPECT_EQ(rows[1]->embedding_model, embedder_->traits().tag);
  slow.fail_next = true;
  put_bundle("u2", 3);
  EXPECT_EQ(take("u2"), UploadState::kDiscovered);
  EXPECT_EQ(row("u2").error, "the embedder is away");
}

TEST_F(PipelineTest, TellsTheObserverWhatWasStored) {
  Recorder recorder;
  Intake::Parts parts = this->parts();
  parts.observer = &recorder;
  intake_ = std::make_unique<Intake>(parts, Intake::Options{});
  put_bundle("u1", 3);
  take("u1");
  ASSERT_EQ(recorder.all.size(), 3U);
  EXPECT_EQ(recorder.all[1].key.conversation_id, "c1");
  EXPECT_EQ(recorder.all[1].outcome, UpsertOutcome::kStored);
}

class WorkerTest : public PipelineTest {
 protected:
  IngestWorker::Options quick() {
    return {.poll = milliseconds(5),
            .discovery = milliseconds(20),
            .pause_after_error = milliseconds(20),
            .upkeep = milliseconds(20)};
  }
  /// Waits for `done`, at most ten seconds.
  static bool soon(const std::function<bool()>& done) {
    for (int i = 0; i < 2'000; ++i) {
      if (done()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  std::uint64_t in_state(UploadState state) {
    auto totals = get<Ledger::Totals>([&] { return ledger_->totals(); });
    return totals.states[state];
  }

  telemetry::Registry registry_;
  IngestMetrics metrics_{registry_};
};

TEST_F(WorkerTest, FourWorkersTakeTheBucketInOnceAndGaugesTell) {
  for (int i = 0; i < 24; ++i) put_bundle("u" + std::to_string(i), 30, "agent", 30 * i);
  BundleReader reader(*intake_, *ledger_, bucket(), {});
  Discovery discovery(*ledger_, bucket(), {});
  std::vector<std::unique_ptr<IngestWorker>> workers;
  for (int i = 0; i < 4; ++i) {
    auto options = quick();
    options.uploads_at_once = 2;
    workers.push_back(std::make_unique<IngestWorker>(
        IngestWorker::Parts{*intake_, *ledger_, &reader, i == 0 ? &discovery : nullptr,
                            loops_.at(0), clock_, metrics_},
        options));
    workers.back()->start();
  }
  EXPECT_TRUE(soon([&] { return in_state(UploadState::kDone) == 24; }));
  for (auto& worker : workers) worker->stop(seconds(5));
  EXPECT_EQ(store_.all().size(), 24U * 30U);
  std::uint64_t stored = 0;
  for (int i = 0; i < 24; ++i) {
    const Upload upload = row("u" + std::to_string(i));
    stored += upload.counts.stored;
    EXPECT_EQ(upload.attempts, 1);
  }
  EXPECT_EQ(stored, 24U * 30U);
  const std::string page = registry_.expose();
  EXPECT_TRUE(
      page.contains(R"(akosha_ingestion_requests_total{status="done",system_id="agent"} 24)"))
      << page;
  EXPECT_TRUE(page.contains("akosha_ingestion_queue_size"));
}

TEST_F(WorkerTest, LeasingStopsWhileTheStoreIsPressed) {
  std::atomic<bool> pressed = true;
  Intake::Parts parts = this->parts();
  parts.pressed = [&] { return pressed.load(); };
  intake_ = std::make_unique<Intake>(parts, Intake::Options{});
  put_bundle("u1", 3);
  BundleReader reader(*intake_, *ledger_, bucket(), {});
  Discovery discovery(*ledger_, bucket(), {});
  IngestWorker worker({*intake_, *ledger_, &reader, &discovery, loops_.at(0), clock_, metrics_},
                      quick());
  worker.start();
  EXPECT_TRUE(soon([&] { return worker.status().paused == "store" && worker.status().last_scan; }));
  EXPECT_EQ(in_state(UploadState::kDiscovered), 1U);
  pressed = false;
  EXPECT_TRUE(soon([&] { return in_state(UploadState::kDone) == 1; }));
  worker.stop(seconds(5));
  EXPECT_FALSE(intake_->reserve(1));
}

TEST_F(WorkerTest, ABucketThatIsAwayIsLeftAloneForAMinute) {
  auto& server = object_testing::S3Server::shared();
  if (!server) GTEST_SKIP() << server.error().message;
  (*server)->reset();
  auto options = (*server)->options("worker/");
  options.retry.max_attempts = 1;
  bucket_ = object::S3Store::open(options).value();
  for (int i = 0; i < 8; ++i) put_bundle("u" + std::to_string(i), 2, "agent", 2 * i);
  BundleReader reader(*intake_, *ledger_, bucket(), {});
  Discovery discovery(*ledger_, bucket(), {});
  net::run_sync<Discovery::Found>(loops_.at(0), [&] { return discovery.scan(); });
  (*server)->fault(R"({"kind":"status","status":503,"code":"SlowDown","times":5})");
  IngestWorker worker({*intake_, *ledger_, &reader, nullptr, loops_.at(0), clock_, metrics_},
                      quick());
  worker.start();
  EXPECT_TRUE(soon([&] { return worker.status().bucket == Breaker::State::kOpen; }));
  clock_.advance(seconds(61));
  EXPECT_TRUE(soon([&] { return in_state(UploadState::kDone) == 8; }));
  EXPECT_EQ(worker.status().bucket, Breaker::State::kClosed);
  worker.stop(seconds(5));
  EXPECT_EQ(store_.all().size(), 16U);
}

class ImportTest : public PipelineTest {
 protected:
  std::string file(const std::string& name, const std::string& bytes) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  static std::string lines(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i);
      out += "{\"id\":\"c" + n + "\",\"content\":\"line " + n + "\"}\n";
    }
    return out;
  }
  Result<ImportResult> run(const std::string& path, ImportOptions options = {}) {
    return attempt<ImportResult>([&] { return import_file(path, *intake_, *ledger_, options); });
  }
};

TEST_F(ImportTest, TakesLinesInWithProgress) {
  const std::string path = file("memories.jsonl", lines(1'000) + "broken\n");
  ImportOptions options;
  options.payload.chunk_bytes = 1'000;
  options.report = milliseconds(0);
  std::vector<ImportProgress> told;
  options.progress = [&](const ImportProgress& progress) { told.push_back(progress); };
  const auto result = run(path, options);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, UploadState::kPartial);
  EXPECT_EQ(result->counts.stored, 1'000U);
  EXPECT_EQ(result->counts.errors, 1U);
  EXPECT_GT(told.size(), 10U);
  EXPECT_EQ(told.back().bytes, told.back().bytes_total);
  EXPECT_EQ(told.back().counts.items, 1'001U);
  EXPECT_EQ(store_.all().front().key.system_id, "import");
}

TEST_F(ImportTest, GoesOnWhereItStoppedAndAgainChangesNothing) {
  const std::string path = file("memories.jsonl", lines(2'000));
  Interruption stop;
  ImportOptions options;
  options.payload.chunk_bytes = 500;
  options.report = milliseconds(0);
  options.stop = &stop;
  options.progress = [&](const ImportProgress& progress) {
    stop.stopping = progress.counts.items >= 300;
  };
  const auto stopped = run(path, options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::kCancelled);
  const std::size_t before = store_.all().size();
  EXPECT_GE(before, 300U);
  EXPECT_LT(before, 2'000U);
  const auto resumed = run(path);
  ASSERT_TRUE(resumed) << resumed.error().message;
  EXPECT_EQ(resumed->resumed_at, before);
  EXPECT_EQ(resumed->counts.stored, 2'000U);
  const auto again = run(path);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->resumed_at, 2'000U);
  EXPECT_EQ(again->counts, resumed->counts);
  EXPECT_EQ(store_.all().size(), 2'000U);
}

TEST_F(ImportTest, SaysWhatFileItCannotRead) {
  EXPECT_EQ(run(folder_ + "/none").error().code, Errc::kNotFound);
  EXPECT_EQ(run(folder_).error().code, Errc::kNotFound);
  EXPECT_EQ(run(file("empty.jsonl", "")).value().counts, UploadCounts{});
}

}  // namespace
}  // namespace asahi::memory
