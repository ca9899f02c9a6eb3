#include "gateway/batch_api/multipart.h"

#include <gtest/gtest.h>

namespace asahi::gateway {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=XyZ";

TEST(Multipart, ReadsFieldsAndFiles) {
  const std::string body =
      "--XyZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
      "--XyZ\r\ncontent-type: application/octet-stream\r\n"
      "content-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\"; c.jsonl\"\r\n\r\n"
      "{\"a\":1}\r\n--Xy\n\r\n--XyZ--\r\n";
  const auto form = read_multipart(kType, body);
  ASSERT_TRUE(form) << form.error().message;
  ASSERT_EQ(form->size(), 2U);
  EXPECT_EQ((*form)[0].name, "purpose");
  EXPECT_EQ((*form)[0].content, "batch");
  EXPECT_TRUE((*form)[0].filename.empty());
  EXPECT_EQ((*form)[1].filename, "a \"b\"; c.jsonl");
  EXPECT_EQ((*form)[1].content, "{\"a\":1}\r\n--Xy\n");
}

TEST(Multipart, TakesAQuotedBoundaryAndAPreamble) {
  const auto form = read_multipart(
      "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"",
      "ignored\r\n--a b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n--a b--");
  ASSERT_TRUE(form) << form.error().message;
  ASSERT_EQ(form->size(), 1U);
  EXPECT_EQ((*form)[0].name, "x");
  EXPECT_TRUE((*form)[0].content.empty());
}

TEST(Multipart, RefusesWhatIsCutOrNoForm) {
  EXPECT_EQ(read_multipart("application/json", "{}").error().reason, "unsupported_media_type");
  for (const std::string_view type :
       {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary"}) {
    EXPECT_FALSE(read_multipart(type, "--\r\n")) << type;
  }
  for (const std::string_view body :
       {"", "--", "--XyZ", "--XyZ\r\n", "--XyZ\r\nno colon\r\n\r\nx\r\n--XyZ--",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nnever ends",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--XyZ",
        "--XyZ\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XyZ--",
        "--XyZ\r\nContent-Disposition: form-data; name=\"a"}) {
    const auto form = read_multipart(kType, body);
    ASSERT_FALSE(form) << body;
    EXPECT_EQ(form.error().code, Errc::kInvalidArgument);
  }
}

TEST(Multipart, BoundsTheNumberOfParts) {
  std::string body;
  for (int i = 0; i < 40; ++i)
    body += "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";
  EXPECT_FALSE(read_multipart(kType, body + "--XyZ--"));
}

}  // namespace
}  // namespace asahi::gateway
