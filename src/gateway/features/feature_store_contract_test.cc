// What every feature store does: the local file, Feast, Tecton, a server of one's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "gateway/features/feature_store.h"
#include "gateway/features/http_stores.h"
#include "gateway/features/local_store.h"
#include "gateway/features/testing/feature_servers.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/temp_folder.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using testing::FeatureServers;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Loops;

constexpr const char* kAgo = "2023-11-14T22:03:20Z";  // ten minutes before the clock's start

class FeatureStoreContract : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string kind = GetParam();
    if (kind == "local") {
      file_ = folder_.path() + "/features.json";
      store_ = std::make_unique<LocalFeatureStore>(file_, clock_);
    } else {
      servers_ = std::make_unique<FeatureServers>(loops_.pool());
      FeatureServer server{*http::Origin::parse(servers_->url()), Secret("key-1"), clients_,
                           clock_};
      store_ = kind == "feast"    ? make_feast_store(std::move(server), "asahi")
               : kind == "tecton" ? make_tecton_store(std::move(server), "production")
                                  : make_custom_store(std::move(server));
    }
    put("acme", EntityType::kUser, "ann", "tier", "gold");
    put("acme", EntityType::kUser, "ann", "preferences", json::array{"tea", "quiet"});
    put("acme", EntityType::kUser, "bob", "tier", "silver");
    put("rival", EntityType::kUser, "ann", "tier", "secret");
    put("acme", EntityType::kOrganization, "acme", "industry", "rockets");
    put("rival", EntityType::kOrganization, "rival", "industry", "spying");
    put("acme", EntityType::kProduct, "p1", "category", "boots");
    if (kind == "local") write();
  }
  void TearDown() override { servers_.reset(); }

  void put(const std::string& org, EntityType type, const std::string& id, const std::string& name,
           json::value value) {
    if (servers_ != nullptr) {
      servers_->put(org, type, id, name, std::move(value), kAgo);
      return;
    }
    json::object& entities = content_[to_string(type)].is_object()
                                 ? content_[to_string(type)].as_object()
                                 : content_[to_string(type)].emplace_object();
    const std::string key = type == EntityType::kOrganization ? org : org + "/" + id;
    json::object& features =
        entities[key].is_object() ? entities[key].as_object() : entities[key].emplace_object();
    features[name] = std::move(value);
    features["_updated_at"] = kAgo;
  }
  void write() {
    std::ofstream(file_) << json::serialize(content_);
    static_cast<LocalFeatureStore&>(*store_).refresh();
  }
  Result<FeatureVector> get(const std::string& org, EntityType type, const std::string& id,
                            std::vector<std::string> names = {},
                            std::chrono::milliseconds limit = 10s) {
    return loops_.wait_for([&]() -> Task<FeatureVector> {
      co_return co_await store_->get_features({org, type, id}, names,
                                              std::chrono::steady_clock::now() + limit);
    });
  }

  Loops loops_;
  ManualClock clock_;
  testing::TempFolder folder_;
  net::PerLoop<http::Client> clients_{
      loops_.pool(),
      [](net::Loop& loop) { return std::make_unique<http::Client>(loop, http::ClientOptions{}); }};
  std::string file_;
  json::object content_;
  std::unique_ptr<FeatureServers> servers_;
  std::unique_ptr<FeatureStore> store_;
};

TEST_P(FeatureStoreContract, GivesTheFeaturesAskedForWithTheirAge) {
  const auto ann = get("acme", EntityType::kUser, "ann", {"tier", "preferences"});
  ASSERT_TRUE(ann) << ann.error().message;
  EXPECT_EQ(ann->features.at("tier").value, "gold");
  EXPECT_EQ(ann->features.at("preferences").value, json::value(json::array{"tea", "quiet"}));
  EXPECT_EQ(ann->entity_id, "ann");
  EXPECT_EQ(ann->source, store_->source());
  EXPECT_EQ(ann->retrieved_at, clock_.now());
  EXPECT_DOUBLE_EQ(ann->freshness_seconds, 600);
  const auto one = get("acme", EntityType::kUser, "ann", {"tier"});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->features.size(), 1U) << "nothing that was not asked for";
}

TEST_P(FeatureStoreContract, KnowsAllTypes) {
  EXPECT_EQ(get("acme", EntityType::kProduct, "p1")->features.at("category").value, "boots");
  EXPECT_EQ(get("acme", EntityType::kOrganization, "acme")->features.at("industry").value,
            "rockets");
}

TEST_P(FeatureStoreContract, NeverGivesOneOrganisationWhatIsAnothers) {
  EXPECT_EQ(get("rival", EntityType::kUser, "ann")->features.at("tier").value, "secret");
  EXPECT_EQ(get("acme", EntityType::kUser, "ann", {"tier"})->features.at("tier").value, "gold");
  EXPECT_THAT(get("rival", EntityType::kUser, "bob")->features, IsEmpty());
  EXPECT_THAT(get("third", EntityType::kUser, "ann")->features, IsEmpty());
  // Ids that try to step into another organisation.
  EXPECT_THAT(get("default", EntityType::kUser, "acme/ann")->features, IsEmpty());
  EXPECT_THAT(get("third", EntityType::kUser, "../acme/ann")->features, IsEmpty());
  EXPECT_THAT(get("third", EntityType::kOrganization, "acme")->features, IsEmpty())
      << "the organisation itself is the caller's, whatever the id says";
}

TEST_P(FeatureStoreContract, AnUnknownEntityHasNoFeatures) {
  const auto nobody = get("acme", EntityType::kUser, "nobody", {"tier"});
  ASSERT_TRUE(nobody);
  EXPECT_THAT(nobody->features, IsEmpty());
}

TEST_P(FeatureStoreContract, AnUnknownNameIsRefusedWithTheValidOnes) {
  const auto wrong = get("acme", EntityType::kUser, "ann", {"tier", "shoe_size"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().reason, "feature_config_error");
  EXPECT_THAT(wrong.error().message, HasSubstr("shoe_size"));
  EXPECT_THAT(wrong.error().message, HasSubstr("purchase_history"));
}

TEST_P(FeatureStoreContract, AnswersForManyInTheirOrder) {
  const auto many = loops_.wait_for([&]() -> Task<std::vector<FeatureVector>> {
    std::vector<std::string> ids{"bob", "nobody", "ann"}, names{"tier"};
    co_return co_await store_->get_batch_features("acme", EntityType::kUser, ids, names,
                                                  std::chrono::steady_clock::now() + 10s);
  });
  ASSERT_TRUE(many) << many.error().message;
  ASSERT_EQ(many->size(), 3U);
  EXPECT_EQ((*many)[0].features.at("tier").value, "silver");
  EXPECT_THAT((*many)[1].features, IsEmpty());
  EXPECT_EQ((*many)[2].features.at("tier").value, "gold");
}

TEST_P(FeatureStoreContract, IsHealthy) {
  const auto healthy = loops_.wait_for([&]() -> Task<void> {
    co_return co_await store_->health_check(std::chrono::steady_clock::now() + 10s);
  });
  EXPECT_TRUE(healthy) << healthy.error().message;
}

INSTANTIATE_TEST_SUITE_P(Stores, FeatureStoreContract,
                         ::testing::Values("local", "feast", "tecton", "custom"),
                         [](const auto& info) { return std::string(info.param); });

// ---- faults of servers

class FeatureServerFaults : public FeatureStoreContract {
 protected:
  void expect(FeatureServers::Fault fault, Errc code, const char* reason) {
    servers_->fault(fault);
    const auto got = get("acme", EntityType::kUser, "ann", {"tier"}, 300ms);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, code) << got.error().message;
    EXPECT_EQ(got.error().reason, reason);
  }
};

TEST_P(FeatureServerFaults, ASlowOneIsATimeout) {
  const auto started = std::chrono::steady_clock::now();
  expect(FeatureServers::Fault::kSlow, Errc::kTimeout, "feature_store_error");
  EXPECT_LT(std::chrono::steady_clock::now() - started, 4s);
}
TEST_P(FeatureServerFaults, AnErrorIsTold) {
  expect(FeatureServers::Fault::kError, Errc::kUpstream, "feature_store_error");
}
TEST_P(FeatureServerFaults, NonsenseIsAnError) {
  expect(FeatureServers::Fault::kNonsense, Errc::kUpstream, "feature_store_error");
}
TEST_P(FeatureServerFaults, FewerValuesThanNamesAreAnError) {
  expect(FeatureServers::Fault::kShort, Errc::kUpstream, "feature_store_error");
}
TEST_P(FeatureServerFaults, AnUnknownViewIsTheOperatorsBusiness) {
  expect(FeatureServers::Fault::kRefused, Errc::kInvalidArgument, "feature_config_error");
}

INSTANTIATE_TEST_SUITE_P(Stores, FeatureServerFaults,
                         ::testing::Values("feast", "tecton", "custom"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(FeatureServerFaults, SpeaksTheServersLanguage) {
  ASSERT_TRUE(get("acme", EntityType::kUser, "ann", {"tier"}));
  const json::object body = json::parse(servers_->asked().back()).as_object();
  if (store_->source() == "feast") {
    EXPECT_EQ(body.at("features").as_array()[0], "asahi_user:tier");
    EXPECT_EQ(body.at("entities").as_object().at("organization_id").as_array()[0], "acme");
  } else if (store_->source() == "tecton") {
    const json::object& params = body.at("params").as_object();
    EXPECT_EQ(params.at("workspace_name"), "production");
    EXPECT_EQ(params.at("join_key_map").as_object().at("organization_id"), "acme");
    EXPECT_EQ(servers_->authorization(), "Tecton-key key-1");
  } else {
    EXPECT_EQ(body.at("organization_id"), "acme");
    EXPECT_EQ(servers_->authorization(), "Bearer key-1");
  }
}

// ---- the file

class LocalFile : public ::testing::Test {
 protected:
  Result<FeatureVector> get(std::string org, std::string id) {
    return loops_.wait_for(
        [&] { return store_.get_features({org, EntityType::kUser, id}, {}, {}); });
  }
  void write(const std::string& text) {
    std::ofstream(path_) << text;
    // A file written twice within the clock's grain looks unchanged.
    std::filesystem::last_write_time(
        path_, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(++writes_));
    store_.refresh();
  }
  Loops loops_;
  ManualClock clock_;
  testing::TempFolder folder_;
  std::string path_ = folder_.path() + "/features.json";
  LocalFeatureStore store_{path_, clock_};
  int writes_ = 0;
};

TEST_F(LocalFile, IsReadAgainWhenItChanges) {
  EXPECT_EQ(get("default", "ann").error().reason, "feature_store_error") << "not there yet";
  write(R"({"user":{"ann":{"tier":"gold"}}})");
  EXPECT_EQ(get("default", "ann")->features.at("tier").value, "gold");
  write(R"({"user":{"ann":{"tier":"silver"}}})");
  EXPECT_EQ(get("default", "ann")->features.at("tier").value, "silver");
}

TEST_F(LocalFile, WhatCannotBeReadLeavesWhatWasReadBefore) {
  write(R"({"user":{"ann":{"tier":"gold"}}})");
  for (const char* broken :
       {"", "{", "[]", R"({"user":[]})", R"({"planet":{}})", R"({"user":{"ann":7}})",
        R"({"user":{"ann":{"_updated_at":"yesterday"}}})"}) {
    write(broken);
    EXPECT_EQ(get("default", "ann")->features.at("tier").value, "gold") << broken;
    EXPECT_FALSE(loops_.wait_for([&] { return store_.health_check({}); })) << broken;
  }
  write(R"({"user":{}})");
  EXPECT_TRUE(loops_.wait_for([&] { return store_.health_check({}); }));
}

TEST_F(LocalFile, AnIdWithoutOrganisationIsOfCallersWithoutCredential) {
  write(R"({"user":{"ann":{"tier":"gold"}}})");
  EXPECT_THAT(get("acme", "ann")->features, IsEmpty());
}

TEST_F(LocalFile, FeaturesOfItsOwnAreValid) {
  write(R"({"user":{"acme/ann":{"shoe_size":41}}})");
  const auto got = loops_.wait_for(
      [&] { return store_.get_features({"acme", EntityType::kUser, "ann"}, {"shoe_size"}, {}); });
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->features.at("shoe_size").value, 41);
}

}  // namespace
}  // namespace asahi::gateway
