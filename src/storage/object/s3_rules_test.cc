#include "storage/object/s3_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::object {
namespace {

using ::testing::HasSubstr;

TEST(S3Rules, WritesUrlsAsSignaturesWantThem) {
  EXPECT_EQ(encode_key("a b/ü+~*.gz"), "a%20b/%C3%BC%2B~%2A.gz");
  EXPECT_EQ(encode_query_part("a/b=c"), "a%2Fb%3Dc");
  EXPECT_EQ(canonical_query({{"uploads", ""}}), "uploads=");
  EXPECT_EQ(canonical_query({{"prefix", "b c"}, {"list-type", "2"}, {"after", "/"}}),
            "after=%2F&list-type=2&prefix=b%20c");
  // By what is written, not by what is meant: "%" stands before letters.
  EXPECT_EQ(canonical_query({{"a-b", "1"}, {"a b", "2"}}), "a%20b=2&a-b=1");
}

TEST(S3Rules, TypesErrors) {
  const auto code = [](int status, std::string_view said) {
    return s3_error("GET", status, {},
                    said.empty() ? "" : "<Error><Code>" + std::string(said) + "</Code></Error>")
        .code;
  };
  EXPECT_EQ(code(503, "SlowDown"), Errc::kRateLimited);
  EXPECT_EQ(code(503, ""), Errc::kUnavailable);
  EXPECT_EQ(code(500, "InternalError"), Errc::kUnavailable);
  EXPECT_EQ(code(429, ""), Errc::kRateLimited);
  EXPECT_EQ(code(400, "RequestTimeout"), Errc::kTimeout);
  EXPECT_EQ(code(400, "XAmzContentSHA256Mismatch"), Errc::kUpstream);
  EXPECT_EQ(code(400, "BadDigest"), Errc::kUpstream);
  EXPECT_EQ(code(400, "InvalidArgument"), Errc::kInvalidArgument);
  EXPECT_EQ(code(403, "AccessDenied"), Errc::kForbidden);
  EXPECT_EQ(code(404, "NoSuchKey"), Errc::kNotFound);
  EXPECT_EQ(code(404, ""), Errc::kNotFound);
  EXPECT_EQ(code(404, "NoSuchBucket"), Errc::kInvalidArgument);
  EXPECT_EQ(code(409, "ConditionalRequestConflict"), Errc::kConflict);
  EXPECT_EQ(code(412, "PreconditionFailed"), Errc::kConflict);
  EXPECT_EQ(code(416, "InvalidRange"), Errc::kInvalidArgument);
  EXPECT_EQ(code(301, "PermanentRedirect"), Errc::kInvalidArgument);
}

TEST(S3Rules, SaysWhatToDo) {
  const Error moved =
      s3_error("GET of 'a'", 301, {{"x-amz-bucket-region", "eu-central-1"}}, "<html>moved</html>");
  EXPECT_THAT(moved.message, HasSubstr("eu-central-1"));
  EXPECT_THAT(moved.message, testing::Not(HasSubstr("html")));
  EXPECT_THAT(s3_error("PUT", 403, {}, "<Error><Code>SignatureDoesNotMatch</Code></Error>").message,
              HasSubstr("AWS_SECRET_ACCESS_KEY"));
  EXPECT_THAT(s3_error("PUT", 403, {}, "<Error><Code>RequestTimeTooSkewed</Code></Error>").message,
              HasSubstr("clock"));
  const Error slow = s3_error("PUT", 503, {{"retry-after", "7"}}, "");
  ASSERT_TRUE(slow.retry_after);
  EXPECT_EQ(*slow.retry_after, std::chrono::seconds(7));
  EXPECT_EQ(s3_error("PUT", 503, {{"retry-after", "99999"}}, "").retry_after,
            std::chrono::seconds(60));
}

TEST(S3Rules, ReadsLists) {
  const std::string body =
      "<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
      "<Contents><Key>p/a+b%2Bc</Key><Size>12</Size><ETag>&quot;e1&quot;</ETag>"
      "<LastModified>2026-11-22T06:45:52.000Z</LastModified></Contents>"
      "<Contents><Key>p/folder/</Key><Size>0</Size></Contents></ListBucketResult>";
  const auto page = parse_list(body, "p/");
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->objects.size(), 1U);
  EXPECT_EQ(page->objects[0].key, "a b+c");
  EXPECT_EQ(page->objects[0].size, 12U);
  EXPECT_EQ(page->objects[0].etag, "e1");
  EXPECT_EQ(format_rfc3339(page->objects[0].modified), "2026-11-22T06:45:52.000Z");
  EXPECT_EQ(page->next, "folder/");
}

TEST(S3Rules, RefusesListsThatCannotBe) {
  EXPECT_EQ(parse_list("<Error><Code>X</Code></Error>", "").error().code, Errc::kCorrupt);
  EXPECT_FALSE(
      parse_list("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", ""));
  EXPECT_FALSE(
      parse_list("<ListBucketResult><Contents><Key>other/a</Key><Size>1</Size></Contents>"
                 "</ListBucketResult>",
                 "mine/"));
}

TEST(S3Rules, ReadsWhatHeadersSayOfAnObject) {
  const ObjectInfo info = info_from("k", {{"content-length", "10"},
                                          {"etag", "\"abc-2\""},
                                          {"last-modified", "Sun, 22 Nov 2026 06:45:52 GMT"}});
  EXPECT_EQ(info.size, 10U);
  EXPECT_EQ(info.etag, "abc-2");
  EXPECT_EQ(format_rfc3339(info.modified), "2026-11-22T06:45:52.000Z");
  EXPECT_EQ(info_from("k", {{"content-length", "3"}, {"content-range", "bytes 0-2/99"}}).size, 99U);
}

// cloud.google.com/storage/docs/xml-api/get-bucket-list and .../reference-headers
TEST(S3Rules, InGooglesWordsGenerationsStandForEtags) {
  EXPECT_EQ(own_header(S3Dialect::kGoogle, "content-sha256"), "x-goog-content-sha256");
  EXPECT_EQ(own_header(S3Dialect::kAmazon, "content-sha256"), "x-amz-content-sha256");
  const auto page = parse_list(
      "<ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'><Name>b</Name>"
      "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Generation>1360887697105000"
      "</Generation><MetaGeneration>1</MetaGeneration><LastModified>2013-02-15T00:21:37.133Z"
      "</LastModified><ETag>\"67d5cefbb25d4b3dec4a7ea1b0a1a8ec\"</ETag><Size>55</Size></Contents>"
      "<Contents><Key>.asahi-put_1</Key><Size>1</Size></Contents></ListBucketResult>",
      "", S3Dialect::kGoogle);
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->objects.size(), 1U) << "what is put aside is not listed";
  EXPECT_EQ(page->objects[0].etag, "1360887697105000");
  const S3Headers headers{{"etag", "\"same\""}, {"x-goog-generation", "17"}};
  EXPECT_EQ(info_from("k", headers, S3Dialect::kGoogle).etag, "17");
  EXPECT_EQ(info_from("k", headers).etag, "same");
}

}  // namespace
}  // namespace asahi::object
