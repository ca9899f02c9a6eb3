#include "memory/model/reach.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

Reach reach(std::vector<std::string> systems) { return Reach("acme", std::move(systems)); }

TEST(Reach, OfEverySystemHasAll) {
  const Reach all = Reach::whole("acme");
  EXPECT_TRUE(all.has("whatever"));
  EXPECT_TRUE(all.check_whole("a backup"));
  Filter filter{.system_ids = {"a"}};
  EXPECT_TRUE(all.bound(filter));
  EXPECT_FALSE(filter.systems_allowed);
}

TEST(Reach, NamesWhatItRefuses) {
  const auto refused = reach({"b", "a"}).check("c");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kForbidden);
  EXPECT_EQ(refused.error().field, "system_id");
  EXPECT_NE(refused.error().message.find("'c'"), std::string::npos);
  EXPECT_TRUE(reach({"b", "a"}).check("a"));
  EXPECT_FALSE(reach({}).has("a")) << "an empty list is none, not all";
  EXPECT_FALSE(reach({"a"}).check_whole("a backup"));
}

TEST(Reach, BoundsAFilterAndRefusesOneThatReachesBeyond) {
  Filter none;
  ASSERT_TRUE(reach({"a"}).bound(none));
  EXPECT_EQ(none.systems_allowed, std::vector<std::string>{"a"});
  Filter foreign{.system_ids = {"a", "b"}};
  EXPECT_EQ(reach({"a"}).bound(foreign).error().field, "system_id");
}

TEST(Reach, GivesKeysOfItsOwnSystemsOnly) {
  EXPECT_EQ(reach({"a"}).key("a", "m1").value().tenant, "acme");
  EXPECT_EQ(reach({"a"}).key("b", "m1").error().code, Errc::kForbidden);
  EXPECT_EQ(reach({"a"}).key("../a", "m1").error().code, Errc::kInvalidArgument);
}

TEST(Reach, HasAnotherNameThanAnyOther) {
  EXPECT_EQ(reach({"a", "b"}).name(), reach({"b", "a", "a"}).name());
  EXPECT_NE(reach({"a", "b"}).name(), reach({"ab"}).name());
  EXPECT_NE(reach({}).name(), Reach::whole("acme").name());
  EXPECT_NE(reach({"a"}).name(), Reach("acme2", std::vector<std::string>{"a"}).name());
}

TEST(Reach, HidesWhoElseSaidTheSame) {
  const std::string told = R"({"project":"x","seen_in":[{"system_id":"b","conversation_id":"1"},)"
                           R"({"system_id":"a","conversation_id":"2"}]})";
  EXPECT_EQ(Reach::whole("acme").visible_metadata(told), told);
  EXPECT_EQ(reach({"a"}).visible_metadata(told),
            R"({"project":"x","seen_in":[{"system_id":"a","conversation_id":"2"}]})");
  EXPECT_EQ(reach({"c"}).visible_metadata(told), R"({"project":"x"})");
}

}  // namespace
}  // namespace asahi::memory
