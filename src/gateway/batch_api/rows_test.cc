#include "gateway/batch_api/rows.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

RowReader reader_of(std::size_t most_rows = 100, std::size_t most_line_bytes = 1'000) {
  return RowReader({.url = "/v1/x",
                    .most_rows = most_rows,
                    .most_line_bytes = most_line_bytes,
                    .check = [](std::shared_ptr<const JsonDocument> body) -> Result<void> {
                      if (body->root().get_object().contains("bad"))
                        return fail_field("bad", "bad must not be there");
                      return {};
                    }});
}

std::string line_of(std::string_view id, std::string_view body = R"({"a":1.50})") {
  return R"({"custom_id":")" + std::string(id) + R"(","method":"POST","url":"/v1/x","body":)" +
         std::string(body) + "}\n";
}

RowFault only_fault(const std::string& text) {
  RowReader reader = reader_of();
  reader.feed(text);
  reader.finish();
  EXPECT_EQ(reader.faults().size(), 1U) << text;
  EXPECT_TRUE(reader.take().empty());
  return reader.faults().empty() ? RowFault() : reader.faults().front();
}

TEST(BatchRows, KeepsLinesThatAreCutAnywhere) {
  const std::string text = "\xEF\xBB\xBF" + line_of("one") + "\r\n \n" + line_of("two");
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    RowReader reader = reader_of();
    reader.feed(std::string_view(text).substr(0, cut));
    reader.feed(std::string_view(text).substr(cut));
    reader.finish();
    const auto rows = reader.take();
    ASSERT_EQ(rows.size(), 2U) << cut;
    EXPECT_EQ(rows[0].custom_id, "one");
    EXPECT_EQ(rows[0].line, 1);
    EXPECT_EQ(rows[0].body, R"({"a":1.50})") << "the very text";
    EXPECT_EQ(rows[1].line, 4);
  }
}

TEST(BatchRows, ReadsALastLineWithoutItsEnd) {
  std::string text = line_of("one");
  text.pop_back();
  RowReader reader = reader_of();
  reader.feed(text);
  reader.finish();
  EXPECT_EQ(reader.take().size(), 1U);
}

TEST(BatchRows, NamesLineFieldAndRule) {
  const std::string good = line_of("one");
  EXPECT_EQ(only_fault(good + "{\n").code, "invalid_json_line");
  EXPECT_EQ(only_fault(good + "{\n").line, 2);
  EXPECT_EQ(only_fault("[1]\n").code, "invalid_json_line");
  EXPECT_EQ(only_fault(line_of("")).param, "custom_id");
  EXPECT_EQ(only_fault(line_of("a\\u0000b")).param, "custom_id");
  EXPECT_EQ(only_fault(good + line_of("one")).code, "duplicate_custom_id");
  EXPECT_EQ(only_fault(R"({"custom_id":"1","method":"GET","url":"/v1/x","body":{}})").param,
            "method");
  EXPECT_EQ(only_fault(R"({"custom_id":"1","method":"POST","url":"/v1/y","body":{}})").param,
            "url");
  EXPECT_EQ(only_fault(R"({"custom_id":"1","method":"POST","url":"/v1/x"})").param, "body");
  EXPECT_EQ(only_fault(R"({"custom_id":"1","method":"POST","url":"/v1/x","body":{},"x":1})").param,
            "x");
  EXPECT_EQ(only_fault(line_of("1", R"({"stream":true})")).param, "body.stream");
  EXPECT_EQ(only_fault(line_of("1", R"({"provider_api_key":"k"})")).param, "body.provider_api_key");
  const RowFault checked = only_fault(good + "\n" + line_of("2", R"({"bad":1})"));
  EXPECT_EQ(checked, (RowFault{.code = "invalid_body",
                               .message = "bad must not be there",
                               .param = "body.bad",
                               .line = 3}));
}

TEST(BatchRows, RefusesAnEmptyFile) {
  EXPECT_EQ(only_fault("").code, "empty_file");
  EXPECT_EQ(only_fault("\n\n  \n").code, "empty_file");
}

TEST(BatchRows, BoundsRowsLinesAndFaults) {
  RowReader few = reader_of(2);
  few.feed(line_of("1") + line_of("2") + line_of("3") + line_of("4"));
  few.finish();
  ASSERT_EQ(few.faults().size(), 1U);
  EXPECT_EQ(few.faults()[0].code, "too_many_tasks");
  EXPECT_EQ(few.faults()[0].line, 3);

  RowReader shorter = reader_of(10, 100);
  for (int i = 0; i < 50; ++i) shorter.feed("xxxxxxxxxx");
  shorter.feed("\n" + line_of("1"));
  shorter.finish();
  ASSERT_EQ(shorter.faults().size(), 1U);
  EXPECT_EQ(shorter.faults()[0].line, 1);

  RowReader wrong = reader_of(1'000);
  for (int i = 0; i < 500; ++i) wrong.feed("{\n");
  wrong.finish();
  EXPECT_EQ(wrong.faults().size(), RowReader::kMostFaults);
}

}  // namespace
}  // namespace asahi::gateway
