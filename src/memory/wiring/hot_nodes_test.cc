#include "memory/wiring/hot_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/placement/testing/nodes.h"
#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

using ::testing::HasSubstr;

TEST(HotList, IsOneAddressOrSeveralWithNamesAndWeights) {
  const auto one = parse_hot_list("f", "http://127.0.0.1:8002", {}).value();
  EXPECT_EQ(one.placement.to_string(), "256;127.0.0.1:8002");
  const auto three = parse_hot_list(
      "f", "a=http://127.0.0.1:1, b*2.5=http://127.0.0.1:2/x,http://localhost:3", {});
  ASSERT_TRUE(three) << three.error().message;
  EXPECT_EQ(three->placement.to_string(), "256;a,b*2.5,localhost:3");
  EXPECT_EQ(three->addresses[1].origin.port, 2);
  EXPECT_EQ(three->addresses[1].node.name, "b");
}

TEST(HotList, NamesWhatIsWrong) {
  const auto why = [](const std::string& text) {
    const auto list = parse_hot_list("memory.stores.hot_url", text, {});
    EXPECT_FALSE(list) << text;
    if (list) return std::string();
    EXPECT_EQ(list.error().field, "memory.stores.hot_url");
    return list.error().message;
  };
  EXPECT_THAT(why(""), HasSubstr("1 to 1000"));
  EXPECT_THAT(why("a=http://127.0.0.1:1,a=http://127.0.0.1:2"), HasSubstr("a stands there twice"));
  EXPECT_THAT(why("a*x=http://127.0.0.1:1"), HasSubstr("'x' is no weight"));
  EXPECT_THAT(why("a*0=http://127.0.0.1:1"), HasSubstr("the weight 0 of a"));
  EXPECT_THAT(why("a b=http://127.0.0.1:1"), HasSubstr("'a b' is no name"));
  EXPECT_THAT(why("http://127.0.0.1:1,,"), HasSubstr("URL"));
  EXPECT_THAT(why("a=http://far-away:1"), HasSubstr("AKOSHA_STORE_SECRET"));
}

class HotNote : public ::testing::Test {
 protected:
  using List = std::vector<std::string>;
  Result<void> check(const std::string& node, const List& now, const List& before = {}) {
    std::optional<Placement> old;
    if (!before.empty()) old = testing::Nodes::placement(before);
    return on_.wait<void>([&] {
      return check_note(node, testing::Nodes::placement(now), old, nodes_[node],
                        nodes_.record(node));
    });
  }
  std::string note(const std::string& node) { return nodes_.record(node).note()->to_string(); }

  testing::OnLoop on_;
  testing::Nodes nodes_;
};

TEST_F(HotNote, IsWrittenWhereThereIsNoneAndHeldAgainstTheListFromThenOn) {
  nodes_.add("a");
  EXPECT_TRUE(check("a", {"a", "b"}));
  EXPECT_EQ(note("a"), "a\n256;a,b\n");
  EXPECT_TRUE(check("a", {"a", "b"}));
  const auto refused = check("a", {"a", "b", "c"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(refused.error().field, "memory.stores.hot_url");
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("were placed for the hot stores 256;a,b, not 256;a,b,c"),
                    HasSubstr("asahi memory rebalance"), HasSubstr("AKOSHA_HOT_URL_PREVIOUS")));
}

TEST_F(HotNote, AChangeThatIsNamedIsTakenUpAndMustStayNamedUntilItIsOver) {
  nodes_.add("a");
  ASSERT_TRUE(check("a", {"a"}));
  EXPECT_FALSE(check("a", {"a", "b"}));
  EXPECT_TRUE(check("a", {"a", "b"}, {"a"}));
  EXPECT_EQ(note("a"), "a\n256;a,b\n256;a");
  EXPECT_FALSE(check("a", {"a"})) << "who has the old list does not start any more";
  const auto early = check("a", {"a", "b"});
  ASSERT_FALSE(early);
  EXPECT_THAT(early.error().message, HasSubstr("is not over yet"));
}

TEST_F(HotNote, AStoreFromBeforeThereWereListsIsCounted) {
  nodes_.add("a");
  ASSERT_TRUE(on_.wait<std::vector<UpsertOutcome>>(
      [&] { return nodes_["a"].upsert_batch(testing::placed_memories(20, 1), {}); }));
  const auto refused = check("a", {"a", "b"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("memories that others of the list should have"));
  EXPECT_TRUE(check("a", {"a"}));
}

TEST_F(HotNote, ALoneStoreMayBeCalledAnything) {
  nodes_.add("a");
  ASSERT_TRUE(check("a", {"10.0.0.1:8002"}));
  EXPECT_TRUE(check("a", {"hot-store:8002"}));
  nodes_["a"].away = true;
  EXPECT_TRUE(check("a", {"hot-store:8002"})) << "its note is enough";
}

}  // namespace
}  // namespace asahi::memory
