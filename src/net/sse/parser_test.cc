#include "net/sse/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::sse {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

auto event(std::string name, std::string data, std::string id = "") {
  return AllOf(Field(&Event::event, name), Field(&Event::data, data), Field(&Event::id, id));
}

std::vector<Event> parse(std::string_view bytes, std::size_t step = std::string_view::npos) {
  Parser parser;
  std::vector<Event> events;
  for (std::size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size())) {
    EXPECT_TRUE(parser.feed(bytes.substr(at, step), events));
  }
  return events;
}

TEST(SseParser, KeepsDataSplitAcrossReads) {
  const std::string_view bytes =
      "\xef\xbb\xbf: comment\n\nevent: delta\ndata: one\ndata:two\r\ndata\r\rid: 7\ndata: {\"a\": "
      "1}\n\n"
      "data:  two spaces\r\n\r\nunknown: x\nretry: 5\n\ndata: last\n\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    EXPECT_THAT(parse(bytes, step),
                ElementsAre(event("delta", "one\ntwo\n"), event("", "{\"a\": 1}", "7"),
                            event("", " two spaces", "7"), event("", "last", "7")))
        << step;
  }
}

TEST(SseParser, DropsWhatIsUnfinishedAtTheEnd) {
  Parser parser;
  std::vector<Event> events;
  ASSERT_TRUE(parser.feed("data: done\n\ndata: cut", events));
  EXPECT_THAT(events, ElementsAre(event("", "done")));
  EXPECT_TRUE(parser.mid_event());
  ASSERT_TRUE(parser.feed("\n\n", events));
  EXPECT_FALSE(parser.mid_event());
}

TEST(SseParser, AnEventWithoutDataIsNone) {
  EXPECT_THAT(parse("event: ping\n\ndata: x\n\n"), ElementsAre(event("", "x")));
  EXPECT_THAT(parse("\n\n\r\n\r\r"), IsEmpty());
  EXPECT_THAT(parse("data\n\n"), ElementsAre(event("", "")));
}

TEST(SseParser, AnEndlessEventIsAnUpstreamError) {
  for (const std::string& piece :
       {std::string("data: xxxxxxxxxx\n"), std::string("xxxxxxxxxxxxxxxx")}) {
    Parser parser(100);
    std::vector<Event> events;
    Result<void> fed;
    for (int i = 0; i < 20 && fed; ++i) fed = parser.feed(piece, events);
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error().code, Errc::kUpstream);
  }
}

TEST(AppendEvent, SplitsLinesSoThatNothingBreaksOut) {
  std::string out;
  append_event(out, "delta", "a\nb\r\nc\rd");
  EXPECT_EQ(out, "event: delta\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
  out.clear();
  append_event(out, "", "");
  EXPECT_EQ(out, "data: \n\n");
  EXPECT_THAT(parse(out), ElementsAre(event("", "")));
}

}  // namespace
}  // namespace asahi::sse
