#include "memory/remote/remote_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/ids.h"
#include "memory/hot/hot_store.h"
#include "memory/hot/testing/samples.h"
#include "memory/remote/protocol.h"
#include "memory/testing/memory_store.h"
#include "memory/testing/remote_pair.h"
#include "net/blocking.h"

namespace asahi::memory::remote {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RemotePair;
using ::testing::SizeIs;

class RemoteStoreTest : public ::testing::Test {
 protected:
  RemoteStoreTest() { loops_.start(); }

  template <class T>
  Result<T> attempt(std::function<Task<T>()> call) {
    return net::run_sync<Result<T>>(loops_.at(0), std::move(call));
  }
  template <class T>
  T get(std::function<Task<T>()> call) {
    auto outcome = attempt<T>(std::move(call));
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? std::move(*outcome) : T{};
  }
  using Outcomes = std::vector<UpsertOutcome>;
  using Found = std::vector<std::optional<Memory>>;

  /// With a vector that has no short form, and everything else that a memory can have.
  static Memory memory(int i) {
    Memory out;
    out.key = {"acme", "agent", "m" + std::to_string(i)};
    out.content = "memory number " + std::to_string(i) + " of the äöü kind";
    out.content_hash = sha256(out.content);
    out.embedding = {std::sqrt(0.1F + static_cast<float>(i)), -0.3F, 1e-30F};
    out.embedding_model = "m";
    out.timestamp = Clock::Time{std::chrono::seconds{1'700'000'000 + i}} + 1ns;
    out.uploaded_at = out.timestamp + 1h;
    out.metadata = R"({"project":"x"})";
    out.fingerprint.fill(static_cast<std::uint32_t>(i * 1'000'003));
    return out;
  }
  static std::vector<Memory> memories(int count) {
    std::vector<Memory> all;
    for (int i = 0; i < count; ++i) all.push_back(memory(i));
    return all;
  }
  static std::vector<Key> keys(int count) {
    std::vector<Key> all;
    for (int i = 0; i < count; ++i) all.push_back(memory(i).key);
    return all;
  }

  ManualClock clock_;
  net::LoopPool loops_{1};
  testing::MemoryStore rows_;
};

TEST_F(RemoteStoreTest, TheHotTierAnswersTheSameThroughIt) {
  HotOptions options;
  options.engine.clock = &clock_;
  const auto hot = HotStore::open(std::move(options)).value();
  RemotePair pair(loops_, *hot, clock_);
  const auto far = pair.connect(pair.options());
  const auto all = memories(20);
  EXPECT_THAT(get<Outcomes>([&] { return far->upsert_batch(all, {}); }), SizeIs(20));
  const auto both = [&]<class T>(auto call) {
    return std::pair{get<T>([&] { return call(*hot); }),
                     get<T>([&] { return call(static_cast<Store&>(*far)); })};
  };
  const auto [near_rows, far_rows] =
      both.operator()<Found>([](Store& store) { return store.get(keys(21)); });
  EXPECT_EQ(near_rows, far_rows);
  EXPECT_EQ(far_rows[3]->embedding, all[3].embedding) << "by bits";
  const auto [near_sums, far_sums] = both.operator()<std::vector<std::optional<Digest>>>(
      [](Store& store) { return store.checksum(keys(21)); });
  EXPECT_EQ(near_sums, far_sums);
  StoreQuery query;
  query.tenant = "acme";
  query.text = "number 7";
  query.embedding = all[7].embedding;
  query.embedding_model = "m";
  query.filter = {.systems_allowed = std::vector<std::string>{"agent"},
                  .metadata = {{"project", "x"}}};
  query.facets = {"project"};
  const auto [near_page, far_page] =
      both.operator()<StorePage>([&](Store& store) { return store.search(query); });
  ASSERT_FALSE(near_page.hits.empty());
  EXPECT_EQ(to_bytes(near_page), to_bytes(far_page));
  const auto [near_stats, far_stats] =
      both.operator()<TierStats>([](Store& store) { return store.stats("acme"); });
  EXPECT_EQ(near_stats.records, 20U);
  EXPECT_EQ(to_bytes(near_stats), to_bytes(far_stats));
}

TEST_F(RemoteStoreTest, LargeAnswersComeInPieces) {
  RemotePair pair(loops_, rows_, clock_,
                  {.secrets = RemotePair::secrets(), .snapshot_folder = {}, .reply_bytes = 1});
  const auto store = pair.connect(pair.options());
  get<Outcomes>([&] { return store->upsert_batch(memories(150), {.deduplicate = false}); });
  const auto found = get<Found>([&] { return store->get(keys(151)); });
  ASSERT_THAT(found, SizeIs(151));
  EXPECT_EQ(found[149]->content, memory(149).content);
  EXPECT_FALSE(found[150]);
  const auto until = memory(1000).timestamp;
  const auto due = get<std::vector<Eligible>>(
      [&] { return store->scan_eligible({.before = until, .limit = 140}); });
  ASSERT_THAT(due, SizeIs(140));
  EXPECT_EQ(due[139].memory.key, memory(139).key);
  EXPECT_EQ(due[139].checksum, row_checksum(memory(139)));
  EXPECT_THAT(get<std::vector<Eligible>>(
                  [&] { return store->scan_eligible({.before = until, .limit = 140}); }),
              SizeIs(10));
}

TEST_F(RemoteStoreTest, ErrorsArriveAsTheyWere) {
  RemotePair pair(loops_, rows_, clock_);
  const auto store = pair.connect(pair.options());
  Error error{.code = Errc::kTooLarge, .message = "over it", .field = "memories[3].content"};
  error.retry_after = 1500ms;
  rows_.fail_upserts(1, error);
  const auto refused = attempt<Outcomes>([&] { return store->upsert_batch(memories(1), {}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_EQ(refused.error().message, "over it");
  EXPECT_EQ(refused.error().field, "memories[3].content");
  EXPECT_EQ(refused.error().retry_after, 1500ms);
}

TEST_F(RemoteStoreTest, WhatTheStoreCannotDoNowIsTriedAgain) {
  RemotePair pair(loops_, rows_, clock_);
  const auto store = pair.connect(pair.options());
  rows_.fail_upserts(2, Error{.code = Errc::kUnavailable, .message = "disk full"});
  EXPECT_THAT(get<Outcomes>([&] { return store->upsert_batch(memories(1), {}); }),
              ElementsAre(UpsertOutcome::kStored));
}

TEST_F(RemoteStoreTest, AStoreThatIsAwaySaysSoAtOnceAndIsFoundAgain) {
  RemotePair pair(loops_, rows_, clock_);
  auto options = pair.options();
  options.breaker = {.failures = 3, .open_for = 5s, .half_open_probes = 1};
  const auto store = pair.connect(options);
  const auto stats = [&] { return attempt<TierStats>([&] { return store->stats("acme"); }); };
  ASSERT_TRUE(stats());
  pair.stop();
  auto gone = stats();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::kUnavailable);
  EXPECT_THAT(gone.error().message, HasSubstr("the hot store at http://127.0.0.1:"));
  gone = stats();
  EXPECT_THAT(gone.error().message, HasSubstr("is away"));
  pair.start_again();
  EXPECT_FALSE(stats()) << "not asked before the pause is over";
  clock_.advance(6s);
  EXPECT_TRUE(stats());
}

TEST_F(RemoteStoreTest, AnotherSecretIsRefusedOnBothSides) {
  RemotePair pair(loops_, rows_, clock_);
  auto options = pair.options();
  options.secrets.current = Secret("another-secret-of-the-tests-01234");
  const auto store = pair.connect(options);
  auto refused = attempt<Outcomes>([&] { return store->upsert_batch(memories(1), {}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnauthenticated);
  EXPECT_THAT(refused.error().message, HasSubstr("AKOSHA_STORE_SECRET"));
  EXPECT_TRUE(rows_.all().empty());
  // Who stands in for the store without knowing its secret is not believed.
  RemotePair open(loops_, rows_, clock_, {.secrets = {}, .snapshot_folder = {}});
  const auto wary = open.connect(open.options());
  refused = attempt<Outcomes>([&] { return wary->upsert_batch(memories(1), {}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnauthenticated);
  EXPECT_THAT(refused.error().message, HasSubstr("not signed"));
}

TEST_F(RemoteStoreTest, KnowsThatItTalksToTheWrongTier) {
  RemotePair pair(loops_, rows_, clock_);
  const auto hot = pair.connect(pair.options());
  EXPECT_TRUE(attempt<void>([&] { return hot->ping(); }));
  const auto warm = pair.connect(pair.options(Tier::kWarm));
  const auto wrong = attempt<void>([&] { return warm->ping(); });
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("is a hot store"));
}

/// Takes calls and breaks the connection in the middle of each answer.
class BreaksOff {
 public:
  explicit BreaksOff(net::LoopPool& loops) {
    http::Router router;
    for (const std::string_view verb : {DeleteBatch::kName, Stats::kName}) {
      router.post(std::string(kPrefix) + std::string(verb),
                  [this](http::Context&) -> Aw<http::Response> {
                    ++calls;
                    http::Response response;
                    response.stream = [](http::BodyWriter& out) -> Task<void> {
                      (void)co_await out.write("half");
                      co_return fail(Errc::kInternal, "broken off");
                    };
                    co_return response;
                  });
    }
    http::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = 0;
    server_ = http::Server::bind(loops, std::move(options), std::move(router)).value();
    server_->start();
  }
  ~BreaksOff() { server_->drain(100ms); }
  RemoteStore::Options options() const {
    return {.origin = {.host = "127.0.0.1", .port = server_->port(), .base_path = {}},
            .secrets = {},
            .retry = {.max_attempts = 3, .base = 1ms, .cap = 2ms}};
  }
  std::atomic<int> calls = 0;

 private:
  std::unique_ptr<http::Server> server_;
};

TEST_F(RemoteStoreTest, OnlyWhatChangesNothingTwiceIsSentAgain) {
  BreaksOff server(loops_);
  const auto store = testing::ends_on_loop(
      loops_, std::make_unique<RemoteStore>(loops_, clock_, server.options()));
  const auto gone = attempt<std::uint64_t>([&] { return store->delete_batch(keys(1)); });
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::kUnavailable);
  EXPECT_EQ(server.calls, 1);
  EXPECT_FALSE(attempt<TierStats>([&] { return store->stats(""); }));
  EXPECT_EQ(server.calls, 1 + 3);
}

/// A call written by hand.
class RawCall : public RemoteStoreTest {
 protected:
  Result<Error> error_of(const RemotePair& pair, std::string_view verb, const std::string& body,
                         std::chrono::milliseconds left = 1s) {
    const auto client = testing::ends_on_loop(
        loops_, std::make_unique<http::Client>(loops_.at(0), http::ClientOptions{}));
    http::ClientRequest request;
    request.origin = pair.options().origin;
    request.target = std::string(kPrefix) + std::string(verb);
    request.body = body;
    sign_request(RemotePair::secrets(), request.target, body, left, clock_.now(), request.headers);
    auto reply = attempt<http::ClientResponse>(
        [&]() -> Task<http::ClientResponse> { co_return co_await client->send(request, {}); });
    if (!reply) return std::unexpected(reply.error());
    auto error = from_bytes<Error>(reply->body);
    if (!error) return fail(Errc::kInternal, "no error: " + std::to_string(reply->status));
    return *error;
  }
};

TEST_F(RawCall, WorkWhoseTimeIsOverIsNotBegun) {
  RemotePair pair(loops_, rows_, clock_);
  const auto error =
      error_of(pair, UpsertBatch::kName, to_bytes(UpsertBatch::Request{memories(1), {}}), 0ms);
  ASSERT_TRUE(error) << error.error().message;
  EXPECT_EQ(error->code, Errc::kTimeout);
  EXPECT_TRUE(rows_.all().empty());
}

TEST_F(RawCall, BytesThatAreNoRequestAreRefused) {
  RemotePair pair(loops_, rows_, clock_);
  const std::string good = to_bytes(UpsertBatch::Request{memories(2), {}});
  std::string lies = good;
  lies[3] = '\x7f';  // two thousand million memories
  std::string mode = to_bytes(StoreQuery{.tenant = "acme"});
  mode[8] = 9;  // no such mode
  for (const auto& [verb, body] :
       {std::pair{UpsertBatch::kName, good.substr(0, good.size() - 1)},
        std::pair{UpsertBatch::kName, good + "x"}, std::pair{UpsertBatch::kName, lies},
        std::pair{UpsertBatch::kName, std::string()}, std::pair{SearchStore::kName, mode}}) {
    const auto error = error_of(pair, verb, body);
    ASSERT_TRUE(error) << error.error().message;
    EXPECT_EQ(error->code, Errc::kInvalidArgument);
  }
  EXPECT_TRUE(rows_.all().empty());
}

TEST_F(RemoteStoreTest, SnapshotsAreFetchedAndGoOverThere) {
  const auto folder = std::filesystem::temp_directory_path() / random_id("asahi-remote-", 12);
  RemotePair pair(loops_, rows_, clock_,
                  {.secrets = RemotePair::secrets(), .snapshot_folder = folder / "there"});
  const auto store = pair.connect(pair.options());
  get<Outcomes>([&] { return store->upsert_batch(memories(3), {}); });
  using Left = std::vector<HeldFile>;
  const auto fetched = attempt<Left>([&] { return store->snapshot(folder / "here", {}); });
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_TRUE(fetched->empty());
  ASSERT_TRUE(attempt<Left>([&] { return rows_.snapshot(folder / "same", {}); }));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "same")) {
    const auto text = [](const std::filesystem::path& path) {
      std::ostringstream out;
      out << std::ifstream(path).rdbuf();
      return out.str();
    };
    EXPECT_EQ(text(folder / "here" / entry.path().filename()), text(entry.path()));
    EXPECT_FALSE(text(entry.path()).empty());
    ++files;
  }
  EXPECT_GT(files, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "there")) << "it holds no copies for nobody";
  // What is held already is not sent again.
  FileSums sums;
  const Digest sum = sums.of(folder / "same" / "memories.jsonl")->sha256;
  const auto held = std::make_shared<const std::set<Digest>>(std::set<Digest>{sum});
  const auto again = attempt<Left>([&] { return store->snapshot(folder / "again", held); });
  ASSERT_EQ(again->size(), 1U);
  EXPECT_EQ(again->front().path, "memories.jsonl");
  EXPECT_EQ(again->front().sha256, sum);
  EXPECT_EQ(again->front().size, std::filesystem::file_size(folder / "same" / "memories.jsonl"));
  EXPECT_FALSE(std::filesystem::exists(folder / "again" / "memories.jsonl"));
  std::filesystem::remove_all(folder);
}

TEST_F(RawCall, SnapshotsStayBelowTheStoresFolder) {
  const auto folder = std::filesystem::temp_directory_path() / random_id("asahi-remote-", 12);
  RemotePair pair(loops_, rows_, clock_,
                  {.secrets = RemotePair::secrets(), .snapshot_folder = folder.string()});
  for (const std::string elsewhere : {"../one", "/tmp/one", "", ".", "a/../.."}) {
    for (const std::string_view verb :
         {Snapshot::kName, SnapshotFiles::kName, SnapshotDrop::kName}) {
      const auto refused = error_of(pair, verb, to_bytes(elsewhere));
      ASSERT_TRUE(refused) << elsewhere;
      EXPECT_EQ(refused->field, "folder") << verb << " " << elsewhere;
    }
    const auto refused = error_of(pair, SnapshotRead::kName,
                                  to_bytes(SnapshotRead::Request{"one", elsewhere, 0, 10}));
    ASSERT_TRUE(refused) << elsewhere;
    EXPECT_EQ(refused->field, "path") << elsewhere;
  }
}

TEST_F(RemoteStoreTest, PassesOnThatTheStoreIsBehind) {
  bool behind = true;
  RemotePair pair(loops_, rows_, clock_,
                  {.secrets = RemotePair::secrets(), .pressed = [&behind] { return behind; }});
  const auto store = pair.connect(pair.options());
  EXPECT_FALSE(store->pressed());
  const auto refused = attempt<Outcomes>([&] { return store->upsert_batch(memories(1), {}); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_EQ(refused.error().retry_after, std::chrono::milliseconds(1'000)) << "Retry-After: 1";
  EXPECT_TRUE(rows_.all().empty()) << "nothing was done";
  EXPECT_TRUE(store->pressed()) << "what comes next need not be sent to hear the same";
  behind = false;
  clock_.advance(std::chrono::milliseconds(1'001));
  EXPECT_FALSE(store->pressed());
  EXPECT_TRUE(attempt<Outcomes>([&] { return store->upsert_batch(memories(1), {}); }));
}

TEST_F(RemoteStoreTest, GivesWhatWasWrittenSince) {
  const auto engine = hot::Engine::open({}).value();
  std::vector<Memory> given;
  for (int i = 0; i < 200; ++i)
    given.push_back(hot_testing::sample("m" + std::to_string(i), "text " + std::to_string(i)));
  ASSERT_TRUE(hot_testing::upsert(*engine, given));
  RemotePair pair(loops_, rows_, clock_,
                  {.secrets = RemotePair::secrets(), .followed = engine.get()});
  const auto store = pair.connect(pair.options());
  using Written = RemoteStore::Written;
  const Written where = get<Written>([&] { return store->written_since(0, 0); });
  EXPECT_EQ(where.name, engine->feed_name().value());
  EXPECT_EQ(where.end, engine->last_written());
  EXPECT_TRUE(where.rows.empty());
  std::vector<std::string> seen;
  for (std::uint64_t at = 0; at < where.end;) {
    const Written page = get<Written>([&] { return store->written_since(at, 70); });
    ASSERT_GT(page.upto, at);
    EXPECT_LE(page.rows.size(), 70U);
    for (const auto& [memory, duplicate] : page.rows) seen.push_back(memory.key.conversation_id);
    at = page.upto;
  }
  std::vector<std::string> all;
  for (const Memory& memory : given) all.push_back(memory.key.conversation_id);
  EXPECT_EQ(seen, all);
}

TEST(StoreOrigin, BeyondThisMachineNeedsASecret) {
  EXPECT_TRUE(store_origin("memory.stores.hot_url", "http://127.0.0.1:8002", {}));
  const auto open = store_origin("memory.stores.hot_url", "http://hot-store:8002", {});
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().field, "memory.stores.hot_url");
  EXPECT_THAT(open.error().message, HasSubstr("AKOSHA_STORE_SECRET"));
  EXPECT_TRUE(
      store_origin("memory.stores.hot_url", "http://hot-store:8002", RemotePair::secrets()));
  EXPECT_FALSE(store_origin("memory.stores.hot_url", "hot-store:8002", RemotePair::secrets()));
}

}  // namespace
}  // namespace asahi::memory::remote
