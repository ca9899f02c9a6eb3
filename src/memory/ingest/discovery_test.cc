#include "memory/ingest/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "memory/testing/ingest_fixture.h"
#include "storage/object/s3_store.h"
#include "storage/object/testing/s3_server.h"

namespace asahi::memory {
namespace {

class DiscoveryTest : public testing::IngestFixture {
 protected:
  Discovery::Found scan(Discovery& discovery) {
    return net::run_sync<Discovery::Found>(loops_.at(0), [&] { return discovery.scan(); });
  }
  std::size_t known() {
    return get<UploadPage>([&] { return ledger_->list({.tenant = "default", .limit = 1'000}); })
        .uploads.size();
  }
};

TEST_F(DiscoveryTest, FindsBundlesWithManifestsOnce) {
  put_bundle("u1", 1);
  put_bundle("u2", 1);
  put_bundle("u1", 1, "other");
  put("systems/agent/halfway/memories.json", "{}");
  put("systems/agent/bad name/manifest.json", "{}");
  put("systems/b@d/u1/manifest.json", "{}");
  put("systems/stray.txt", "x");
  put("elsewhere/agent/u1/manifest.json", "{}");
  Discovery discovery(*ledger_, bucket(), {});
  const auto first = scan(discovery);
  EXPECT_EQ(first.errors, 0U) << first.error;
  EXPECT_EQ(first.systems, 2U);
  EXPECT_EQ(first.uploads, 5U);
  EXPECT_EQ(first.discovered, 3U);
  EXPECT_EQ(first.waiting, 1U);
  EXPECT_EQ(first.bad_names, 2U);
  EXPECT_EQ(scan(discovery).discovered, 0U);
  put("systems/agent/halfway/manifest.json", manifest(0));
  EXPECT_EQ(scan(discovery).discovered, 1U);
  EXPECT_EQ(known(), 4U);
}

TEST_F(DiscoveryTest, GoesOnBehindItsCapsNextTime) {
  for (int system = 0; system < 3; ++system) {
    for (int upload = 0; upload < 3; ++upload)
      put_bundle("u" + std::to_string(upload), 1, "s" + std::to_string(system));
  }
  Discovery discovery(*ledger_, bucket(), {.max_systems = 2, .max_uploads = 2, .at_once = 1});
  const auto first = scan(discovery);
  EXPECT_TRUE(first.capped);
  EXPECT_EQ(first.discovered, 4U);
  for (int i = 0; i < 6; ++i) scan(discovery);
  EXPECT_EQ(known(), 9U);
}

TEST_F(DiscoveryTest, NoticesOneBundleByItsKey) {
  put_bundle("u1", 1);
  Discovery discovery(*ledger_, bucket(), {});
  const auto notice = [&](const std::string& key) {
    return attempt<bool>([&] { return discovery.notice(key); });
  };
  EXPECT_TRUE(notice("systems/system_id=agent/upload_id=u1/manifest.json").value());
  EXPECT_FALSE(notice("systems/agent/u1/manifest.json").value());
  EXPECT_FALSE(notice("systems/agent/nothing/").value());
  EXPECT_EQ(notice("systems/../u1/").error().code, Errc::kInvalidArgument);
}

TEST_F(DiscoveryTest, AThousandUploadsAreFoundSoon) {
  // Written past the store: it syncs each.
  for (int i = 0; i < 1'000; ++i) {
    const std::string upload = folder_ + "/bucket/systems/agent/u" + std::to_string(i);
    std::filesystem::create_directories(upload);
    std::ofstream(upload + "/manifest.json") << "{}";
  }
  Discovery discovery(*ledger_, bucket(), {});
  EXPECT_EQ(scan(discovery).discovered, 1'000U);
}

/// Against a real S3-protocol server, as it fails.
TEST_F(DiscoveryTest, HalfAListAndA503GoOnNextTime) {
  auto& server = object_testing::S3Server::shared();
  if (!server) GTEST_SKIP() << server.error().message;
  (*server)->reset();
  auto options = (*server)->options("discovery/");
  options.retry.max_attempts = 1;
  bucket_ = object::S3Store::open(options).value();
  for (int i = 0; i < 3; ++i) put_bundle("u" + std::to_string(i), 1, "s" + std::to_string(i));
  Discovery discovery(*ledger_, bucket(), {.at_once = 1});
  (*server)->fault(R"({"kind":"status","method":"GET","status":503,"code":"SlowDown"})");
  const auto away = scan(discovery);
  EXPECT_EQ(away.errors, 1U) << away.error;
  EXPECT_EQ(away.discovered, 0U);
  // A list of one system breaks off in the middle: the other two are found.
  (*server)->fault(R"({"kind":"half","method":"GET","query":"s1"})");
  const auto half = scan(discovery);
  EXPECT_EQ(half.errors, 1U) << half.error;
  EXPECT_EQ(half.discovered, 2U);
  const auto there = scan(discovery);
  EXPECT_EQ(there.errors, 0U) << there.error;
  EXPECT_EQ(there.discovered, 1U);
}

}  // namespace
}  // namespace asahi::memory
