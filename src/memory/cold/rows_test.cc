#include "memory/cold/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "storage/columnar/private_folder.h"

namespace asahi::memory::cold {
namespace {

std::vector<float> unit_vector(std::uint32_t seed, std::size_t width = 384) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(width);
  double sum = 0;
  for (float& value : out) {
    value = normal(random);
    sum += value * value;
  }
  for (float& value : out) value = static_cast<float>(value / std::sqrt(sum));
  return out;
}

Memory memory(int i) {
  Memory out;
  char id[16];
  std::snprintf(id, sizeof id, "c-%05d", i);
  out.key = {.tenant = "org", .system_id = "agent", .conversation_id = id};
  out.content = "summary number " + std::to_string(i);
  if (i % 3 != 0) {
    out.embedding = unit_vector(static_cast<std::uint32_t>(i));
    out.embedding_model = "model";
  }
  out.timestamp = Clock::Time{std::chrono::seconds(1'700'000'000 + i)};
  out.uploaded_at = out.timestamp + std::chrono::nanoseconds(17);
  out.metadata =
      i % 5 == 0 ? R"({"daily_metrics":{"turns":4},"project":"p"})" : R"({"project":"p"})";
  out.content_hash = sha256(out.content);
  if (i % 2 == 0) out.fingerprint.fill(static_cast<std::uint32_t>(i + 1));
  if (i % 7 == 0) out.near_duplicate_of = Key{"org", "other", "x \"y\""};
  return out;
}

TEST(ColdRows, AreWhatTheyWereThroughEightBits) {
  columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  const std::string path = folder.file(".parquet");
  auto writer = RowWriter::create(path, {.group_rows = 100, .page_rows = 16}).value();
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(writer.add(memory(i)));
  ASSERT_TRUE(writer.finish());
  auto source = columnar::parquet::LocalSource::open(path).value();
  auto rows =
      RowFile::open(std::make_unique<columnar::parquet::LocalSource>(std::move(source))).value();
  ASSERT_EQ(rows.groups(), 3U);
  int i = 0;
  for (std::size_t group = 0; group < 3; ++group) {
    for (const Memory& read : rows.memories(group, "org", "agent").value()) {
      EXPECT_EQ(read, as_kept(memory(i)));
      EXPECT_EQ(row_checksum(read), row_checksum(as_kept(memory(i))));
      EXPECT_EQ(as_kept(read), read) << "a merge of files must not change rows";
      const auto found = rows.find(memory(i).key).value();
      ASSERT_TRUE(found) << i;
      EXPECT_EQ(*found, read);
      ++i;
    }
  }
  EXPECT_EQ(i, 250);
  EXPECT_FALSE(rows.holds("c-00250").value());
  EXPECT_TRUE(rows.holds("c-00249").value());
  EXPECT_TRUE(rows.overlaps(0, memory(99).timestamp, {}));
  EXPECT_FALSE(rows.overlaps(0, memory(100).timestamp, {}));
  EXPECT_FALSE(rows.overlaps(1, {}, memory(100).timestamp));
}

TEST(ColdRows, NeverShowAnotherTenantsMemories) {
  columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  const std::string path = folder.file(".parquet");
  auto writer = RowWriter::create(path, {}).value();
  ASSERT_TRUE(writer.add(memory(1)));
  ASSERT_TRUE(writer.finish());
  auto source = columnar::parquet::LocalSource::open(path).value();
  auto rows =
      RowFile::open(std::make_unique<columnar::parquet::LocalSource>(std::move(source))).value();
  Key other = memory(1).key;
  other.tenant = "another";
  EXPECT_EQ(rows.find(other).error().code, Errc::kCorrupt);
  EXPECT_EQ(rows.memories(0, "org", "other").error().code, Errc::kCorrupt);
}

TEST(ColdRows, AreRefusedOutOfOrder) {
  columnar::PrivateFolder folder = columnar::PrivateFolder::make("").value();
  auto writer = RowWriter::create(folder.file(".parquet"), {}).value();
  ASSERT_TRUE(writer.add(memory(2)));
  EXPECT_EQ(writer.add(memory(2)).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(writer.add(memory(1)).error().code, Errc::kInvalidArgument);
}

TEST(Quantising, KeepsDirectionsAndRepeatsExactly) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::vector<float> vector = unit_vector(seed);
    for (float& value : vector) value *= static_cast<float>(seed + 1) / 7;
    const Quantised once = quantise_finite(vector);
    const std::string codes(reinterpret_cast<const char*>(once.codes.data()), once.codes.size());
    const std::vector<float> back = dequantised(codes, once.scale);
    const Quantised twice = quantise_finite(back);
    EXPECT_EQ(once.codes, twice.codes);
    EXPECT_EQ(once.scale, twice.scale);
    double dot = 0, a = 0, b = 0;
    for (std::size_t i = 0; i < vector.size(); ++i) {
      dot += vector[i] * back[i];
      a += vector[i] * vector[i];
      b += back[i] * back[i];
    }
    EXPECT_GT(dot / std::sqrt(a * b), 0.9995);
  }
  EXPECT_EQ(quantise_finite(std::vector<float>(4)).scale, 1);
  EXPECT_TRUE(quantise_finite({}).codes.empty());
}

}  // namespace
}  // namespace asahi::memory::cold
