#include "storage/object/azure_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::object {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The example of learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
TEST(AzureRules, WritesTheTextToSignAsItIsDocumented) {
  const AzureCall call{
      .method = "GET",
      .path = "/mycontainer",
      .query = {{"restype", "container"}, {"comp", "metadata"}, {"timeout", "20"}},
      .headers = {{"x-ms-version", "2015-02-21"}, {"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"}}};
  EXPECT_EQ(azure_string_to_sign(call, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\n"
            "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
            "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
}

TEST(AzureRules, SignsLengthSumTypeAndConditions) {
  const AzureCall call{.method = "PUT",
                       .path = "/c/a%20b",
                       .query = {},
                       .headers = {{"Content-Type", "text/plain"},
                                   {"Content-MD5", "sum=="},
                                   {"If-None-Match", "*"},
                                   {"x-ms-blob-type", "BlockBlob"}},
                       .body_bytes = 5};
  EXPECT_EQ(azure_string_to_sign(call, "acc"),
            "PUT\n\n\n5\nsum==\ntext/plain\n\n\n\n*\n\n\nx-ms-blob-type:BlockBlob\n/acc/c/a%20b");
}

TEST(AzureRules, WritesDatesAsHttpDoes) {
  EXPECT_EQ(azure_date(parse_rfc3339("2026-11-22T06:45:52Z").value()),
            "Sun, 22 Nov 2026 06:45:52 GMT");
}

TEST(AzureRules, TypesErrors) {
  const auto code = [](int status, std::string_view said) {
    return azure_error("GET", status, {{"x-ms-error-code", std::string(said)}}, "").code;
  };
  EXPECT_EQ(code(503, "ServerBusy"), Errc::kRateLimited);
  EXPECT_EQ(code(500, "InternalError"), Errc::kUnavailable);
  EXPECT_EQ(code(500, "OperationTimedOut"), Errc::kTimeout);
  EXPECT_EQ(code(400, "Md5Mismatch"), Errc::kUpstream);
  EXPECT_EQ(code(403, "AuthenticationFailed"), Errc::kForbidden);
  EXPECT_EQ(code(404, "BlobNotFound"), Errc::kNotFound);
  EXPECT_EQ(code(404, "ContainerNotFound"), Errc::kInvalidArgument);
  EXPECT_EQ(code(409, "BlobAlreadyExists"), Errc::kConflict);
  EXPECT_EQ(code(412, "ConditionNotMet"), Errc::kConflict);
  EXPECT_EQ(code(400, "InvalidBlockList"), Errc::kConflict) << "another upload took the blocks";
  EXPECT_EQ(code(416, "InvalidRange"), Errc::kInvalidArgument);
  EXPECT_THAT(azure_error("PUT of 'a'", 404, {},
                          "<?xml version=\"1.0\"?><Error><Code>ContainerNotFound</Code>"
                          "<Message>It is not there</Message></Error>")
                  .message,
              HasSubstr("make the container"));
}

TEST(AzureRules, ReadsLists) {
  const auto read = parse_blobs(
      "<?xml version=\"1.0\"?><EnumerationResults><Prefix>p/</Prefix><Blobs>"
      "<Blob><Name>p/a &amp; b</Name><Properties><Last-Modified>Sun, 22 Nov 2026 06:45:52 GMT"
      "</Last-Modified><Etag>0x8D</Etag><Content-Length>12</Content-Length></Properties></Blob>"
      "<BlobPrefix><Name>p/c/</Name></BlobPrefix></Blobs><NextMarker>2!92!x</NextMarker>"
      "</EnumerationResults>",
      "p/");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->page.objects.size(), 1U);
  EXPECT_EQ(read->page.objects[0].key, "a & b");
  EXPECT_EQ(read->page.objects[0].size, 12U);
  EXPECT_EQ(read->page.objects[0].etag, "0x8D");
  EXPECT_EQ(format_rfc3339(read->page.objects[0].modified), "2026-11-22T06:45:52.000Z");
  EXPECT_THAT(read->page.folders, ElementsAre("c/"));
  EXPECT_EQ(read->marker, "2!92!x");
  EXPECT_EQ(parse_blobs("<Error><Code>X</Code></Error>", "").error().code, Errc::kCorrupt);
}

TEST(AzureRules, RefusesNamesThatAzureWouldChange) {
  EXPECT_TRUE(check_blob_name("a/b.c/d"));
  for (const char* key : {"a.", "a./b", "a/..", "a\\b", ""})
    EXPECT_FALSE(check_blob_name(key)) << key;
}

}  // namespace
}  // namespace asahi::object
