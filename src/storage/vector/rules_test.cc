#include "storage/vector/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace asahi::vector {
namespace {

using testing::HasSubstr;

const Space kSpace{"model-1", 3, {"topic"}};

TEST(VectorRules, NameFieldValueAndRule) {
  const auto wide = check_vector(kSpace, std::vector<float>{1, 2}, "items[3].vector");
  ASSERT_FALSE(wide);
  EXPECT_EQ(wide.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(wide.error().field, "items[3].vector");
  EXPECT_THAT(wide.error().message, HasSubstr("has 2 numbers where the index 'model-1' has 3"));
}

TEST(VectorRules, RefuseWhatHasNoDirection) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(check_vector(kSpace, std::vector<float>{0, 0, 0}, "vector"));
  EXPECT_FALSE(check_vector(kSpace, std::vector<float>{1, nan, 0}, "vector"));
  EXPECT_FALSE(check_vector(kSpace, std::vector<float>{1, infinite, 0}, "vector"));
  EXPECT_TRUE(check_vector(kSpace, std::vector<float>{1e-10F, 0, 0}, "vector"));
  EXPECT_TRUE(check_vector(kSpace, std::vector<float>{3e38F, 3e38F, 3e38F}, "vector"));
}

TEST(VectorRules, UnitVectorsHaveLengthOne) {
  for (const float size : {1e-10F, 1.0F, 3e38F}) {
    const auto unit = unit_vector(std::vector<float>{size, -size, 0});
    EXPECT_NEAR(unit[0], std::sqrt(0.5), 1e-6);
    EXPECT_NEAR(unit[1], -std::sqrt(0.5), 1e-6);
  }
}

TEST(VectorRules, ScoresAreClamped) {
  EXPECT_EQ(clamp_score(1.0000001), 1.0F);
  EXPECT_EQ(clamp_score(-1.5), -1.0F);
  EXPECT_EQ(clamp_score(std::nan("")), -1.0F);
  EXPECT_EQ(clamp_score(0.25), 0.25F);
}

TEST(VectorRules, MetadataMustBePlain) {
  const auto check = [](Metadata metadata) {
    const std::vector<Item> items{{"id", {1, 0, 0}, std::move(metadata)}};
    return check_items(kSpace, items);
  };
  EXPECT_TRUE(check({{"topic", std::string("x")}, {"n", 1.5}, {"flag", true}}));
  EXPECT_FALSE(check({{"asahi_id", std::string("x")}}));
  EXPECT_FALSE(check({{"two words", std::string("x")}}));
  EXPECT_FALSE(check({{"a", 1.0}, {"a", 2.0}}));
  EXPECT_FALSE(check({{"a", std::string("\xff")}}));
  EXPECT_FALSE(check({{"a", std::string("x\0y", 3)}}));
  EXPECT_FALSE(check({{"a", std::nan("")}}));
  EXPECT_FALSE(check({{"topic", std::string(1025, 'x')}}));
  EXPECT_TRUE(check({{"text", std::string(100'000, 'x')}}));
}

TEST(VectorRules, FiltersAreOnDeclaredFields) {
  const std::vector<float> vector{1, 0, 0};
  EXPECT_TRUE(check_query(kSpace, vector, 5, {{"topic", std::string("x")}}));
  const auto other = check_query(kSpace, vector, 5, {{"other", std::string("x")}});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("'other'"));
  EXPECT_FALSE(check_query(kSpace, vector, 0, {}));
  EXPECT_FALSE(check_query(kSpace, vector, kMaxTopK + 1, {}));
  EXPECT_FALSE(check_erase_filter(kSpace, {}));
}

TEST(VectorRules, OfTwoWithOneIdTheLastCounts) {
  const auto kept = without_replaced({{"a", {1}, {}}, {"b", {2}, {}}, {"a", {3}, {}}});
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0].id, "b");
  EXPECT_EQ(kept[1].vector[0], 3);
}

TEST(VectorRules, CollectionsOfDifferentModelsHaveDifferentNames) {
  const std::string name = collection_name("asahi-vectors", kSpace);
  EXPECT_TRUE(name.starts_with("asahi_vectors_"));
  EXPECT_NE(name, collection_name("asahi-vectors", {"model-2", 3, {}}));
  EXPECT_NE(name, collection_name("asahi-vectors", {"model-1", 4, {}}));
  EXPECT_EQ(name, collection_name("asahi-vectors", {"model-1", 3, {}}));
  EXPECT_TRUE(collection_name("1\"; DROP", kSpace).starts_with("v_1___DROP_"));
}

TEST(VectorRules, KeysOfTenantsAndIdsDoNotMeet) {
  EXPECT_NE(item_key("a", "bc"), item_key("ab", "c"));
  EXPECT_NE(item_key("a", "1:b"), item_key("a1", ":b"));
  EXPECT_EQ(item_uuid("a", "b").size(), 36u);
  EXPECT_EQ(item_uuid("a", "b")[14], '8');
}

}  // namespace
}  // namespace asahi::vector
