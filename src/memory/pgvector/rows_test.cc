#include "memory/pgvector/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/dedup/minhash.h"

namespace asahi::memory::pg {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST(PgVectorRows, WriteVectorsWithoutLoss) {
  EXPECT_EQ(vector_text({0.1F, -1, 1e-9F}), "[0.1,-1,1e-09]");
}

TEST(PgVectorRows, SayMetadataAsFacts) {
  EXPECT_THAT(facts_of(R"({"project":"apollo","tags":["a","b"],"n":3,"none":null})"),
              UnorderedElementsAre(fact("project", "apollo"), fact("tags", "a"), fact("tags", "b"),
                                   fact("n", "3")));
  EXPECT_THAT(facts_of("no object"), SizeIs(0));
  EXPECT_NE(fact("a", "b=c"), fact("a=b", "c"));
}

TEST(PgVectorRows, CutLongFactsToOnesOfTheirOwn) {
  const std::string text(2'000, 'x');
  EXPECT_LE(fact("f", text + "1").size(), 512U);
  EXPECT_NE(fact("f", text + "1"), fact("f", text + "2"));
  EXPECT_EQ(without_nul(std::string_view("a\0b", 3)), "a b");
}

TEST(PgVectorRows, GiveBandsThatNearFingerprintsShare) {
  EXPECT_THAT(bands_of({}), SizeIs(0));
  Fingerprint one;
  one.fill(7);
  Fingerprint other = one;
  other[0] = 8;
  const auto a = bands_of(one), b = bands_of(other);
  ASSERT_THAT(a, SizeIs(16));
  EXPECT_NE(a[0], b[0]);
  EXPECT_EQ(a[1], b[1]);
  EXPECT_NE(a[0], a[1]) << "the same rows in another band are another band";
  EXPECT_DOUBLE_EQ(dedup::estimated_jaccard(one, other), 127.0 / 128);
}

TEST(PgVectorRows, NameKeysInOrder) {
  EXPECT_EQ(keys_json({{"t", "s", "a\"b"}}), R"([["t","s","a\"b"]])");
  EXPECT_EQ(strings_json({}), "[]");
}

}  // namespace
}  // namespace asahi::memory::pg
