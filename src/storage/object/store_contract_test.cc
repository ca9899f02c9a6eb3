// What every store promises, over a folder, over a real S3-protocol server that checks each
// signature, with the bucket in the path and in the host, over the same in Google's words, and over
// Microsoft's emulator of Azure's blobs, and over such stores that have a replica.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/hash.h"
#include "storage/object/azure_store.h"
#include "storage/object/folder_store.h"
#include "storage/object/replicated_store.h"
#include "storage/object/s3_store.h"
#include "storage/object/testing/azure_server.h"
#include "storage/object/testing/s3_server.h"

namespace asahi::object {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Backend { kFolder, kS3Path, kS3Host, kGoogle, kAzure, kFolders, kS3AndFolder };

std::string name_of(Backend backend) {
  switch (backend) {
    case Backend::kFolder:
      return "folder";
    case Backend::kS3Path:
      return "s3_path";
    case Backend::kS3Host:
      return "s3_host";
    case Backend::kGoogle:
      return "google";
    case Backend::kAzure:
      return "azure";
    case Backend::kFolders:
      return "folder_with_replica";
    case Backend::kS3AndFolder:
      return "s3_with_replica";
  }
  return "";
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& each : bytes) {
    state = state * 1664525U + 1013904223U;
    each = static_cast<char>(state >> 24);
  }
  return bytes;
}

class StoreContract : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    folder_ = (fs::temp_directory_path() / "asahi-object-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    if (GetParam() == Backend::kFolder) {
      store_ = FolderStore::open(folder_ + "/store").value();
      return;
    }
    if (GetParam() == Backend::kFolders) {
      store_ = replicated(FolderStore::open(folder_ + "/store").value());
      return;
    }
    // Names of its own in a prefix, with characters that need care in signatures.
    static int tests = 0;
    const std::string prefix = fmt::format("team a/ü+~{}", ++tests);
    if (GetParam() == Backend::kAzure) {
      const auto& azure = object_testing::AzureServer::shared();
      if (!azure) GTEST_SKIP() << azure.error().message;
      store_ = AzureStore::open((*azure)->options(prefix)).value();
      return;
    }
    const auto& server = object_testing::S3Server::shared();
    if (!server) GTEST_SKIP() << server.error().message;
    server_ = server->get();
    server_->reset();
    S3Options options = server_->options(prefix);
    if (GetParam() == Backend::kGoogle) options.dialect = S3Dialect::kGoogle;
    if (GetParam() == Backend::kS3Host) {
      options.endpoint = "http://localhost:" + std::to_string(server_->port());
      options.addressing = S3Options::Addressing::kVirtualHost;
    }
    store_ = S3Store::open(options).value();
    if (GetParam() == Backend::kS3AndFolder) store_ = replicated(std::move(store_));
  }
  std::unique_ptr<ObjectStore> replicated(std::unique_ptr<ObjectStore> first) {
    std::vector<std::unique_ptr<ObjectStore>> replicas;
    replicas.push_back(FolderStore::open(folder_ + "/replica").value());
    return std::make_unique<ReplicatedStore>(std::move(first), std::move(replicas), system_clock(),
                                             ReplicatedStore::Options());
  }
  void TearDown() override {
    store_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::vector<std::string> keys(const ListQuery& query) {
    std::vector<std::string> found;
    const auto page = store_->list(query);
    EXPECT_TRUE(page) << page.error().message;
    if (page) {
      for (const ObjectInfo& object : page->objects) found.push_back(object.key);
    }
    return found;
  }

  std::string folder_;
  object_testing::S3Server* server_ = nullptr;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(StoreContract, GivesBackWhatWasPut) {
  for (const std::size_t size : {0UL, 1UL, 100'000UL}) {
    const std::string bytes = pattern(size, static_cast<unsigned>(size));
    const auto put = store_->put("a/b.bin", bytes);
    ASSERT_TRUE(put) << put.error().message;
    EXPECT_EQ(put->size, size);
    EXPECT_EQ(store_->get("a/b.bin", 1 << 20).value(), bytes);
    const auto head = store_->head("a/b.bin");
    ASSERT_TRUE(head && *head);
    EXPECT_EQ((*head)->size, size);
    EXPECT_EQ((*head)->etag, put->etag);
    EXPECT_GT((*head)->modified, Clock::Time{});
  }
}

TEST_P(StoreContract, TakesKeysOfAllScriptsAndSigns) {
  for (const std::string key :
       {"plain", "with space", "plus+and&=?#%41", "日本/ü.json", "a/b/c/d/e", "star*'()!~",
        "x=1;y,z:@$", "back\\slash", "\"quotes\"<&>"}) {
    if (GetParam() == Backend::kAzure && key.contains('\\')) {
      EXPECT_EQ(store_->put(key, key).error().code, Errc::kInvalidArgument) << "it would be a '/'";
      continue;
    }
    ASSERT_TRUE(store_->put(key, key)) << key << store_->put(key, key).error().message;
    const auto got = store_->get(key, 100);
    ASSERT_TRUE(got) << key << ": " << got.error().message;
    EXPECT_EQ(*got, key);
    EXPECT_THAT(keys({.prefix = key}), ElementsAre(key));
    ASSERT_TRUE(store_->erase(key));
    EXPECT_FALSE(store_->head(key).value());
  }
}

TEST_P(StoreContract, RefusesKeysThatLeadElsewhere) {
  for (const std::string key : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/.",
                                ".asahi-tmp/x", "a/.asahi-lock", "a\nb"}) {
    for (const auto& result :
         {store_->put(key, "x").error().code, store_->get(key, 10).error().code,
          store_->erase(key).error().code, store_->head(key).error().code}) {
      EXPECT_EQ(result, Errc::kInvalidArgument) << key;
    }
  }
  EXPECT_EQ(store_->list({.prefix = "../"}).error().code, Errc::kInvalidArgument);
}

TEST_P(StoreContract, SaysThatAnObjectIsMissing) {
  EXPECT_EQ(store_->get("nothing", 10).error().code, Errc::kNotFound);
  EXPECT_FALSE(store_->head("nothing").value());
  EXPECT_TRUE(store_->erase("nothing"));
  EXPECT_TRUE(store_->list({.prefix = "nothing"})->objects.empty());
}

TEST_P(StoreContract, ReadsRanges) {
  ASSERT_TRUE(store_->put("r", "0123456789"));
  const auto read = [&](std::uint64_t offset, std::optional<std::uint64_t> length) {
    return store_->get("r", 100, {.offset = offset, .length = length});
  };
  EXPECT_EQ(read(0, 3).value(), "012");
  EXPECT_EQ(read(4, 2).value(), "45");
  EXPECT_EQ(read(7, std::nullopt).value(), "789");
  EXPECT_EQ(read(7, 100).value(), "789");
  EXPECT_EQ(read(2, 0).value(), "");
  EXPECT_EQ(read(10, std::nullopt).error().code, Errc::kInvalidArgument);
  ASSERT_TRUE(store_->put("empty", ""));
  EXPECT_EQ(store_->get("empty", 10, {.offset = 0, .length = 5}).value(), "");
}

TEST_P(StoreContract, HoldsAReaderToItsBound) {
  ASSERT_TRUE(store_->put("big", std::string(1'000, 'x')));
  EXPECT_EQ(store_->get("big", 999).error().code, Errc::kTooLarge);
  EXPECT_EQ(store_->get("big", 1'000)->size(), 1'000U);
}

TEST_P(StoreContract, PassesOnWhatASinkSays) {
  ASSERT_TRUE(store_->put("s", "bytes"));
  const auto read = store_->read(
      "s", [](std::string_view) -> Result<void> { return fail(Errc::kForbidden, "enough"); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kForbidden);
  EXPECT_EQ(read.error().message, "enough");
}

TEST_P(StoreContract, PutsOnlyWhereNothingIs) {
  ASSERT_TRUE(store_->put("once", "first", {.only_if_absent = true}));
  EXPECT_EQ(store_->put("once", "second", {.only_if_absent = true}).error().code, Errc::kConflict);
  EXPECT_EQ(store_->get("once", 10).value(), "first");
}

TEST_P(StoreContract, PutsIntoAClassOfStorage) {
  PutOptions cheap;
  cheap.storage_class = GetParam() == Backend::kAzure ? "Cool" : "STANDARD_IA";
  ASSERT_TRUE(store_->put("seldom", "read", cheap));
  EXPECT_EQ(store_->get("seldom", 100).value(), "read");
}

TEST_P(StoreContract, PutsOnlyOverWhatItKnows) {
  EXPECT_EQ(store_->put("c", "x", {.only_if_etag = "0123"}).error().code, Errc::kConflict);
  const auto first = store_->put("c", "first");
  ASSERT_TRUE(first);
  const auto second = store_->put("c", "second", {.only_if_etag = first->etag});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_NE(first->etag, second->etag);
  EXPECT_EQ(store_->put("c", "third", {.only_if_etag = first->etag}).error().code, Errc::kConflict);
  EXPECT_EQ(store_->get("c", 10).value(), "second");
  EXPECT_EQ(store_->get("c", 10, {.only_if_etag = first->etag}).error().code, Errc::kConflict);
}

TEST_P(StoreContract, LetsOneOfManyWriteFirst) {
  std::atomic<int> won{0}, lost{0};
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      const auto put = store_->put("race", "the same", {.only_if_absent = true});
      if (put) ++won;
      if (!put && put.error().code == Errc::kConflict) ++lost;
    });
  }
  writers.clear();
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 3);
}

TEST_P(StoreContract, ListsByKeyInPages) {
  const std::vector<std::string> all = {"a", "b-1", "b/1", "b/2", "b0", "c/d/e", "c/d/f", "é"};
  for (const std::string& key : all) ASSERT_TRUE(store_->put(key, key));
  EXPECT_EQ(keys({}), all);
  EXPECT_THAT(keys({.prefix = "b"}), ElementsAre("b-1", "b/1", "b/2", "b0"));
  EXPECT_THAT(keys({.prefix = "b/"}), ElementsAre("b/1", "b/2"));
  EXPECT_THAT(keys({.prefix = "c/d/f"}), ElementsAre("c/d/f"));
  EXPECT_THAT(keys({.after = "b/1"}), ElementsAre("b/2", "b0", "c/d/e", "c/d/f", "é"));
  for (const std::size_t limit : {1UL, 3UL, 8UL}) {
    std::vector<std::string> walked;
    ListQuery query{.limit = limit};
    for (;;) {
      const auto page = store_->list(query);
      ASSERT_TRUE(page) << page.error().message;
      EXPECT_LE(page->objects.size(), limit);
      for (const ObjectInfo& object : page->objects) {
        EXPECT_EQ(object.size, object.key.size());
        EXPECT_FALSE(object.etag.empty());
        walked.push_back(object.key);
      }
      if (page->next.empty()) break;
      query.after = page->next;
    }
    EXPECT_EQ(walked, all) << limit;
  }
  std::vector<std::string> some;
  ASSERT_TRUE(store_->each("", [&](const ObjectInfo& object) {
    some.push_back(object.key);
    return some.size() < 2;
  }));
  EXPECT_THAT(some, ElementsAre("a", "b-1"));
}

TEST_P(StoreContract, ListsFoldersInPlaceOfTheirKeys) {
  for (const std::string key : {"a", "b/1", "b/2", "b0", "c/d/e", "c/f", "d/x"})
    ASSERT_TRUE(store_->put(key, key));
  const auto page = store_->list({.folders = true});
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_THAT(page->folders, ElementsAre("b/", "c/", "d/"));
  EXPECT_EQ(page->objects.size(), 2U);
  EXPECT_EQ(page->next, "");
  EXPECT_THAT(store_->list({.prefix = "c/", .folders = true})->folders, ElementsAre("c/d/"));
  EXPECT_THAT(store_->list({.prefix = "c/", .after = "c/d/", .folders = true})->folders,
              ElementsAre());
  EXPECT_THAT(store_->list({.after = "b/", .folders = true})->folders, ElementsAre("c/", "d/"));
  for (const std::size_t limit : {1UL, 2UL, 5UL}) {
    std::vector<std::string> walked;
    ListQuery query{.limit = limit, .folders = true};
    for (int pages = 0; pages < 10; ++pages) {
      const auto some = store_->list(query);
      ASSERT_TRUE(some) << some.error().message;
      EXPECT_LE(some->objects.size() + some->folders.size(), limit);
      for (const ObjectInfo& object : some->objects) walked.push_back(object.key);
      walked.insert(walked.end(), some->folders.begin(), some->folders.end());
      if (some->next.empty()) break;
      query.after = some->next;
    }
    std::ranges::sort(walked);
    EXPECT_THAT(walked, ElementsAre("a", "b/", "b0", "c/", "d/")) << limit;
  }
}

TEST_P(StoreContract, MovesFilesThroughAndBack) {
  const std::string small = pattern(1'000, 1), large = pattern(11 * 1024 * 1024 + 17, 2);
  for (const std::string& bytes : {small, large, std::string()}) {
    const std::string from = folder_ + "/from", to = folder_ + "/to";
    ASSERT_TRUE(replace_file(from, bytes));
    const auto put = store_->put_file("files/x", from);
    ASSERT_TRUE(put) << put.error().message;
    EXPECT_EQ(put->size, bytes.size());
    const auto got = store_->get_file("files/x", to);
    ASSERT_TRUE(got) << got.error().message;
    std::ifstream in(to, std::ios::binary);
    const std::string back((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    EXPECT_TRUE(back == bytes);
    EXPECT_EQ(
        store_->get("files/x", 16 << 20, {.offset = bytes.size() / 2, .length = 10}).value_or(""),
        bytes.substr(bytes.size() / 2, 10));
    EXPECT_FALSE(fs::exists(to + ".new"));
  }
  EXPECT_EQ(store_->put_file("files/y", folder_ + "/missing").error().code, Errc::kUnavailable);
  EXPECT_EQ(store_->get_file("files/y", folder_ + "/y").error().code, Errc::kNotFound);
  EXPECT_FALSE(fs::exists(folder_ + "/y"));
  EXPECT_FALSE(fs::exists(folder_ + "/y.new"));
}

TEST_P(StoreContract, ShowsAnUploadOnlyWhenItIsFinished) {
  const std::string piece = pattern(1'500'000, 3);
  {
    auto upload = store_->begin_upload("up");
    ASSERT_TRUE(upload);
    for (int i = 0; i < 6; ++i) ASSERT_TRUE((*upload)->write(piece));
    EXPECT_FALSE(store_->head("up").value());
    const auto done = (*upload)->finish();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->size, 6 * piece.size());
    EXPECT_EQ((*upload)->finish().error().code, Errc::kConflict);
    EXPECT_EQ(store_->head("up").value()->etag, done->etag);
  }
  {
    auto upload = store_->begin_upload("dropped");
    ASSERT_TRUE(upload);
    for (int i = 0; i < 6; ++i) ASSERT_TRUE((*upload)->write(piece));
  }
  EXPECT_FALSE(store_->head("dropped").value());
  auto again = store_->begin_upload("up", {.only_if_absent = true});
  ASSERT_TRUE(again);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE((*again)->write("other" + piece));
  EXPECT_EQ((*again)->finish().error().code, Errc::kConflict);
  EXPECT_EQ(store_->get("up", 4, {.offset = 0, .length = 4}).value(), piece.substr(0, 4));
}

TEST_P(StoreContract, EndsWhenItIsStopped) {
  ASSERT_TRUE(store_->put("x", "y"));
  store_->stop();
  EXPECT_EQ(store_->put("x", "z").error().code, Errc::kCancelled);
  EXPECT_EQ(store_->get("x", 10).error().code, Errc::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Backends, StoreContract,
                         ::testing::Values(Backend::kFolder, Backend::kS3Path, Backend::kS3Host,
                                           Backend::kGoogle, Backend::kAzure, Backend::kFolders,
                                           Backend::kS3AndFolder),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace asahi::object
