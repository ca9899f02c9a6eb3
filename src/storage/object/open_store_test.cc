#include "storage/object/open_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace asahi::object {
namespace {

using ::testing::HasSubstr;

TEST(OpenStore, OpensFoldersAndMakesThem) {
  std::string folder = (std::filesystem::temp_directory_path() / "asahi-open-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto store = open_store({.url = "file://" + folder + "/deep/archive"});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_TRUE((*store)->put("a", "b"));
  EXPECT_TRUE(std::filesystem::exists(folder + "/deep/archive/a"));
  std::filesystem::remove_all(folder);
}

TEST(OpenStore, RefusesOtherUrls) {
  for (const char* url : {"", "archive", "/var/archive", "file://relative/folder", "file:///",
                          "s3://", "s3:///x", "gs://", "azure:///x", "http://minio/bucket"}) {
    EXPECT_FALSE(check_url(url)) << url;
    const auto store = open_store({.url = url});
    ASSERT_FALSE(store) << url;
    EXPECT_EQ(store.error().code, Errc::kInvalidArgument);
    EXPECT_THAT(store.error().message, HasSubstr("s3://bucket/prefix"));
  }
}

TEST(OpenStore, SaysWhatS3Misses) {
  const S3Credentials good{"id", Secret("secret"), {}};
  const auto refused = [&](OpenOptions options) {
    const auto store = open_store(std::move(options));
    return store ? std::string() : store.error().message;
  };
  EXPECT_THAT(refused({.url = "s3://archive/x"}), HasSubstr("AWS_ACCESS_KEY_ID"));
  EXPECT_THAT(refused({.url = "s3://Archive", .credentials = good}), HasSubstr("bucket"));
  EXPECT_THAT(refused({.url = "s3://archive/../x", .credentials = good}), HasSubstr("'..'"));
  EXPECT_THAT(refused({.url = "s3://archive", .region = "eu west", .credentials = good}),
              HasSubstr("region"));
  EXPECT_THAT(refused({.url = "s3://archive", .endpoint = "minio:9000", .credentials = good}),
              HasSubstr("https://"));
  const auto store = open_store({.url = "s3://archive/a/b", .credentials = good});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->where(), "s3://archive/a/b/");
}

TEST(OpenStore, OpensWhatOtherCloudsHave) {
  CloudCredentials clouds;
  clouds.azure = {.account = "account", .key = Secret("YWJj"), .sas = {}};
  clouds.google = {"GOOG1E", Secret("secret"), {}};
  const auto azure = open_store({.url = "azure://archive/a", .clouds = clouds});
  ASSERT_TRUE(azure) << azure.error().message;
  EXPECT_EQ((*azure)->where(), "azure://archive/a/");
  const auto google = open_store({.url = "gs://archive/a", .clouds = clouds});
  ASSERT_TRUE(google) << google.error().message;
  EXPECT_EQ((*google)->where(), "gs://archive/a/");
  EXPECT_THAT(open_store({.url = "azure://archive"}).error().message,
              HasSubstr("AZURE_STORAGE_ACCOUNT"));
  EXPECT_THAT(open_store({.url = "gs://archive"}).error().message, HasSubstr("GCS_ACCESS_KEY_ID"));
}

}  // namespace
}  // namespace asahi::object
