#include "memory/ingest/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/ingest/times.h"

namespace asahi::memory {
namespace {

const Clock::Time kNow = parse_rfc3339("2026-11-22T10:00:00Z").value();

std::expected<Manifest, Violations> with(const std::string& members) {
  return parse_manifest(R"({"uploaded_at":"2026-11-22T09:00:00Z","conversation_count":3)" +
                            (members.empty() ? "" : "," + members) + "}",
                        kNow);
}

TEST(Manifest, NeedsATimeAndACountOnly) {
  const auto manifest = with("");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(format_rfc3339(manifest->uploaded_at), "2026-11-22T09:00:00.000Z");
  EXPECT_EQ(manifest->conversation_count, 3U);
  EXPECT_EQ(manifest->version, "1.0");
  EXPECT_EQ(manifest->files, std::vector<std::string>{"memories.json"});
  EXPECT_EQ(manifest->compression, Compression::kNone);
}

TEST(Manifest, ReadsEveryField) {
  const auto manifest = with(
      R"("total_size_bytes":100000000000,"version":"12.03","system_type":"session-buddy","checksum":")" +
      std::string(64, 'a') +
      R"(","compressed":true,"compression_format":"zstd","files":["a.json","b-2_c.jsonl"],"metadata":{"x":[1]},"later":1)");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->total_size_bytes, 100'000'000'000U);
  EXPECT_EQ(manifest->version, "12.03");
  EXPECT_EQ(manifest->checksum->front(), 0xaa);
  EXPECT_EQ(manifest->compression, Compression::kZstd);
  EXPECT_EQ(manifest->files.size(), 2U);
  EXPECT_EQ(manifest->metadata, R"({"x":[1]})");
}

TEST(Manifest, EmptyListOfFilesIsTheUsualFile) {
  EXPECT_EQ(with(R"("files":[])")->files, std::vector<std::string>{"memories.json"});
}

TEST(Manifest, EachRuleNamesItsFieldAndValue) {
  const std::pair<const char*, const char*> kBad[] = {
      {R"("total_size_bytes":-1)", "total_size_bytes"},
      {R"("total_size_bytes":100000000001)", "total_size_bytes"},
      {R"("total_size_bytes":"1")", "total_size_bytes"},
      {R"("version":"1")", "version"},
      {R"("version":"1.0.0")", "version"},
      {R"("version":1.0)", "version"},
      {R"("system_type":"")", "system_type"},
      {R"("system_type":"123456789012345678901234567890123456789012345678901")", "system_type"},
      {R"("checksum":"abc")", "checksum"},
      {R"("checksum":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")",
       "checksum"},
      {R"("compressed":"yes")", "compressed"},
      {R"("compressed":true)", "compression_format"},
      {R"("compression_format":"gzip")", "compressed"},
      {R"("compressed":false,"compression_format":"gzip")", "compressed"},
      {R"("compressed":true,"compression_format":"bz2")", "compression_format"},
      {R"("files":"memories.json")", "files"},
      {R"("files":["../x"])", "files[0]"},
      {R"("files":["a","~b"])", "files[1]"},
      {R"("files":["a\u0000b"])", "files[0]"},
      {R"("files":["a/b"])", "files[0]"},
      {R"("files":["a..b"])", "files[0]"},
      {R"("files":[""])", "files[0]"},
      {R"("files":["a","a"])", "files[1]"},
      {R"("files":["manifest.json"])", "files[0]"},
      {R"("metadata":[])", "metadata"},
  };
  for (const auto& [members, field] : kBad) {
    const auto manifest = with(members);
    ASSERT_FALSE(manifest) << members;
    ASSERT_EQ(manifest.error().size(), 1U) << members;
    EXPECT_EQ(manifest.error().front().field, field) << members;
    EXPECT_FALSE(manifest.error().front().rule.empty());
  }
}

TEST(Manifest, TimesMayBeFiveMinutesAheadAndAYearOld) {
  const auto at = [](const std::string& time) {
    return parse_manifest(R"({"uploaded_at":")" + time + R"(","conversation_count":0})", kNow);
  };
  EXPECT_TRUE(at("2026-11-22T10:05:00Z"));
  EXPECT_FALSE(at("2026-11-22T10:05:01Z"));
  EXPECT_TRUE(at("2025-11-22T10:00:00Z"));
  EXPECT_FALSE(at("2025-11-22T09:59:59Z"));
  EXPECT_FALSE(at("yesterday"));
  // Without an offset it is UTC.
  EXPECT_EQ(at("2026-11-22T09:30:00")->uploaded_at, kNow - std::chrono::minutes(30));
  EXPECT_EQ(at("2026-11-22T11:30:00.5+02:00")->uploaded_at,
            kNow - std::chrono::minutes(30) + std::chrono::milliseconds(500));
}

TEST(Manifest, SaysUpToFiveFaultsAtOnce) {
  const auto manifest = parse_manifest(
      R"({"version":1,"checksum":2,"system_type":3,"files":4,"metadata":5,"compressed":6})", kNow);
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().size(), kMaxViolations);
  EXPECT_EQ(manifest.error()[0].field, "uploaded_at");
  EXPECT_EQ(manifest.error()[0].value, "missing");
  EXPECT_EQ(manifest.error()[1].field, "conversation_count");
  const Error error = violations_error(manifest.error(), "manifest.");
  EXPECT_EQ(error.code, Errc::kInvalidArgument);
  EXPECT_EQ(error.reason, "schema_validation_failure");
  EXPECT_EQ(error.field, "manifest.uploaded_at");
  EXPECT_TRUE(parse_json("{" + error.details + "}")) << error.details;
}

TEST(Manifest, IsAJsonObjectOfBoundedSize) {
  for (const char* bad : {"", "[]", "nul", "{\"a\":1", "\xff"})
    EXPECT_FALSE(parse_manifest(bad, kNow));
  EXPECT_FALSE(parse_manifest(std::string(kMaxManifest + 1, ' '), kNow));
}

TEST(BundlePrefix, IsReadBackAndStaysInItsPlace) {
  const BundlePlace place{"session-buddy", "2026.11-22"};
  EXPECT_EQ(parse_bundle_prefix(bundle_prefix(place)).value(), place);
  EXPECT_EQ(parse_bundle_prefix("systems/system_id=a/upload_id=b/manifest.json").value(),
            (BundlePlace{"a", "b"}));
  for (const char* bad :
       {"other/a/b/", "systems/../b/", "systems/a/..", "systems/a/./x", "systems/~a/b/",
        "systems/a/b*/", "systems/a/b?/", "systems//b/", "systems/a/", "systems/a b/c/"})
    EXPECT_FALSE(parse_bundle_prefix(bad)) << bad;
}

TEST(IsoTime, ReadsWhatExportersWrite) {
  const auto seconds = [](std::string_view text) {
    const auto time = parse_iso_time(text);
    return time ? (*time - kNow) / std::chrono::seconds(1) : std::int64_t{-1};
  };
  EXPECT_EQ(seconds("2026-11-22T10:00:01Z"), 1);
  EXPECT_EQ(seconds("2026-11-22 10:00:01"), 1);
  EXPECT_EQ(seconds("2026-11-22T10:01"), 60);
  EXPECT_EQ(seconds("2026-11-22T10:01Z"), 60);
  EXPECT_EQ(seconds("2026-11-22T12:01+02:00"), 60);
  EXPECT_EQ(seconds("2026-11-22T10:00:01.250"), 1);
  EXPECT_EQ(seconds("2026-11-23"), 14 * 3'600);
  for (const char* bad : {"", "now", "2026-13-01", "2026-11-22T", "2026-11-22T25:00", "1700000000"})
    EXPECT_FALSE(parse_iso_time(bad)) << bad;
}

}  // namespace
}  // namespace asahi::memory
