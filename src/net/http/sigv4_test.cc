#include "net/http/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asahi::http {
namespace {

using ::testing::HasSubstr;

/// The published examples of the algorithm (AWS's "aws-sig-v4-test-suite").
const AwsSigner kSigner{.access_key_id = "AKIDEXAMPLE",
                        .secret_access_key = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                        .session_token = "",
                        .region = "us-east-1",
                        .service = "service"};
const Clock::Time kTime = parse_rfc3339("2015-08-30T12:36:00Z").value();

ClientRequest request(Method method, std::string target = "/") {
  return {.method = method,
          .origin = Origin::parse("https://example.amazonaws.com").value(),
          .target = std::move(target),
          .headers = {},
          .body = {}};
}

TEST(AwsSignature, IsThatOfThePublishedExamples) {
  ClientRequest get = request(Method::kGet);
  sign_aws(get, kSigner, kTime);
  EXPECT_EQ(get.headers.get("X-Amz-Date"), "20150830T123600Z");
  EXPECT_EQ(get.headers.get("Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  ClientRequest post = request(Method::kPost);
  sign_aws(post, kSigner, kTime);
  EXPECT_THAT(std::string(post.headers.get("Authorization")),
              HasSubstr("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
}

TEST(AwsSignature, CoversBodyHeadersAndTemporaryCredentials) {
  const auto signature = [](std::function<void(ClientRequest&, AwsSigner&)> change) {
    ClientRequest one = request(Method::kPost);
    AwsSigner signer = kSigner;
    change(one, signer);
    sign_aws(one, signer, kTime);
    const std::string all(one.headers.get("Authorization"));
    return all.substr(all.find("Signature="));
  };
  const std::string plain = signature([](auto&, auto&) {});
  EXPECT_NE(plain, signature([](auto& one, auto&) { one.body = "{}"; }));
  EXPECT_NE(plain, signature([](auto& one, auto&) { one.headers.set("X-Amz-Target", "a"); }));
  EXPECT_NE(plain, signature([](auto&, auto& signer) { signer.session_token = "t"; }));
  EXPECT_NE(plain, signature([](auto& one, auto&) { one.origin.port = 8443; }));
}

}  // namespace
}  // namespace asahi::http
