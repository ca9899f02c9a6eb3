// What is Azure's own: who may ask, and pages that go on by markers.
#include "storage/object/azure_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "storage/object/testing/azure_server.h"

namespace asahi::object {
namespace {

using ::testing::HasSubstr;

class AzureStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& server = object_testing::AzureServer::shared();
    if (!server) GTEST_SKIP() << server.error().message;
    options_ = (*server)->options(testing::UnitTest::GetInstance()->current_test_info()->name());
    store_ = AzureStore::open(options_).value();
  }

  AzureOptions options_;
  std::unique_ptr<AzureStore> store_;
};

/// A signature for the container until 2100, after
/// learn.microsoft.com/rest/api/storageservices/create-service-sas.
std::string sas_of(const AzureOptions& options, const std::string& permissions) {
  const std::string until = "2100-01-01T00:00:00Z";
  const std::string text =
      fmt::format("{}\n\n{}\n/blob/{}/{}\n\n\n\n{}\nc\n\n\n\n\n\n\n", permissions, until,
                  options.credentials.account, options.container, kAzureVersion);
  const Digest256 mac = hmac_sha256(*base64_decode(options.credentials.key.reveal()), text);
  return fmt::format(
      "sv={}&sr=c&sp={}&se={}&sig={}", kAzureVersion, permissions, encode_query_part(until),
      encode_query_part(base64_encode({reinterpret_cast<const char*>(mac.data()), mac.size()})));
}

TEST_F(AzureStoreTest, IsKnownByItsSignature) {
  AzureOptions stranger = options_;
  stranger.credentials.key = Secret(base64_encode("another key"));
  const auto put = AzureStore::open(stranger).value()->put("a", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kForbidden);
  EXPECT_THAT(put.error().message, HasSubstr("key"));
  EXPECT_THAT(put.error().message, ::testing::Not(HasSubstr("another")));
}

TEST_F(AzureStoreTest, TakesASharedAccessSignatureInPlaceOfTheKey) {
  AzureOptions guest = options_;
  guest.credentials.sas = Secret("?" + sas_of(options_, "rwdl"));
  guest.credentials.key = Secret();
  const auto store = AzureStore::open(guest).value();
  ASSERT_TRUE(store->put("a/b", "x")) << store->put("a/b", "x").error().message;
  EXPECT_EQ(store->get("a/b", 10).value(), "x");
  EXPECT_EQ(store->list({})->objects.size(), 1U);
  EXPECT_TRUE(store->erase("a/b"));
  guest.credentials.sas = Secret();
  guest.credentials.key = Secret(sas_of(options_, "r"));
  const auto put = AzureStore::open(guest).value()->put("a/b", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kForbidden);
}

TEST_F(AzureStoreTest, FindsBehindAnyKeyAlsoWhereNoPageEnded) {
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(store_->put(fmt::format("k{}", i), "x"));
  const auto page = store_->list({.after = "k3", .limit = 2});
  ASSERT_TRUE(page) << page.error().message;
  std::string found;
  std::string after = "k3";
  do {
    const auto next = store_->list({.after = after, .limit = 2});
    ASSERT_TRUE(next);
    for (const ObjectInfo& object : next->objects) found += object.key;
    after = next->next;
  } while (!after.empty());
  EXPECT_EQ(found, "k4k5k6");
}

TEST_F(AzureStoreTest, SaysThatTheContainerIsMissing) {
  AzureOptions nowhere = options_;
  nowhere.container = "nowhere";
  const auto put = AzureStore::open(nowhere).value()->put("a", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Errc::kInvalidArgument);
  EXPECT_THAT(put.error().message, HasSubstr("make the container"));
}

TEST(AzureSettings, SayWhatIsWrong) {
  AzureOptions options;
  options.container = "archive";
  const auto refused = [&] {
    const auto store = AzureStore::open(options);
    return store ? std::string() : store.error().message;
  };
  EXPECT_THAT(refused(), HasSubstr("AZURE_STORAGE_ACCOUNT"));
  options.credentials.account = "account";
  EXPECT_THAT(refused(), HasSubstr("AZURE_STORAGE_KEY"));
  options.credentials.sas = Secret("sv=1");
  EXPECT_THAT(refused(), HasSubstr("sig="));
  options.credentials.key = Secret("no base64!");
  EXPECT_THAT(refused(), HasSubstr("base64"));
  options.credentials.key = Secret("YWJj");
  options.container = "Archive";
  EXPECT_THAT(refused(), HasSubstr("container"));
}

}  // namespace
}  // namespace asahi::object
