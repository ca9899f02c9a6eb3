#include "storage/columnar/parquet/compact.h"

#include <gtest/gtest.h>

#include <limits>

#include "storage/columnar/parquet/layout.h"

namespace asahi::columnar::parquet {
namespace {

TEST(CompactProtocol, ReadsWhatItWrites) {
  compact::Writer out;
  out.i32(1, -1);
  out.i64(2, std::numeric_limits<std::int64_t>::min());
  out.boolean(3, false);
  out.binary(40, "text");  // a step too long for the short form
  out.begin(41);
  out.list(1, compact::kI32, 20);
  for (int i = 0; i < 20; ++i) out.value(std::int64_t{i});
  out.end();
  out.i32(42, 300);
  const std::string bytes = out.take();

  compact::Reader in(bytes);
  EXPECT_EQ(in.integer(in.next()), -1);
  EXPECT_EQ(in.integer(in.next()), std::numeric_limits<std::int64_t>::min());
  EXPECT_FALSE(in.boolean(in.next()));
  const auto text = in.next();
  EXPECT_EQ(text.id, 40);
  EXPECT_EQ(in.binary(text), "text");
  EXPECT_EQ(in.next().type, compact::kStruct);
  in.enter();
  EXPECT_EQ(in.list(in.next(), compact::kI32), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(in.element_integer(), i);
  EXPECT_EQ(in.next().type, compact::kStop);
  EXPECT_EQ(in.integer(in.next()), 300);
  EXPECT_EQ(in.next().type, compact::kStop);
  EXPECT_FALSE(in.failed());
  EXPECT_EQ(in.at(), bytes.size());
}

TEST(CompactProtocol, SkipsWhatItDoesNotKnow) {
  compact::Writer out;
  out.begin(1);
  out.list(2, compact::kStruct, 1);
  out.element();
  out.binary(9, "x");
  out.end();
  out.boolean(3, true);
  out.end();
  out.i32(2, 7);
  const std::string bytes = out.take();
  compact::Reader in(bytes);
  in.skip(in.next());
  EXPECT_EQ(in.integer(in.next()), 7);
  EXPECT_FALSE(in.failed());
}

TEST(CompactProtocol, EndsAtAnyTruncationAndAnyDamage) {
  Layout layout;
  layout.columns = {{.name = "id", .kind = Kind::kText, .dictionary = true, .statistics = true},
                    {.name = "code", .kind = Kind::kFixed, .length = 8, .optional = true}};
  layout.rows = 3;
  layout.sorted_by = 0;
  layout.metadata = {{"key", "value"}};
  ChunkAt id{.dictionary = 4, .begin = 20, .bytes = 50, .plain_bytes = 60, .nulls = 0};
  id.least = "a";
  id.greatest = "z";
  layout.groups = {{.rows = 3, .columns = {id, {.begin = 54, .bytes = 30, .nulls = 1}}}};
  const std::string bytes = write_footer(layout);
  const auto read = read_footer(bytes, 1'000);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->groups[0].columns[0].greatest, "z");
  EXPECT_EQ(read->groups[0].columns[0].dictionary, 4U);
  EXPECT_EQ(read->sorted_by, 0U);
  EXPECT_EQ(read->metadata, layout.metadata);
  EXPECT_EQ(read->columns[1].length, 8U);
  EXPECT_TRUE(read->columns[1].optional);
  // Places outside of the file.
  EXPECT_EQ(read_footer(bytes, 80).error().code, Errc::kCorrupt);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(read_footer(std::string_view(bytes).substr(0, length), 1'000)) << length;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      (void)read_footer(damaged, 1'000);  // whatever it says, it comes back
    }
  }
}

}  // namespace
}  // namespace asahi::columnar::parquet
