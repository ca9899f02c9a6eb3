#include "identity/saml/idp_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "identity/saml/sp_key.h"
#include "identity/saml/testing/test_idp.h"
#include "storage/sql/testing/child_process.h"

namespace asahi::identity {
namespace {

using ::testing::HasSubstr;
using testing::TestIdp;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(IdpMetadata, NamesTheProviderItsLoginPageAndItsKeys) {
  const auto read = parse_idp_metadata(TestIdp().metadata());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->entity_id, TestIdp::kEntityId);
  EXPECT_EQ(read->login_url, "https://idp.example/sso?tenant=1&x=2");
}

TEST(IdpMetadata, SaysWhatIsMissing) {
  const std::string good = TestIdp().metadata();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"not well-formed", "<md:EntityDescriptor"},
      {"document type", replaced(good, "<md:Entity", "<!DOCTYPE x [<!ENTITY a \"b\">]><md:Entity")},
      {"one EntityDescriptor", "<a/>"},
      {"no entityID", replaced(good, "entityID=", "id=")},
      {"one IDPSSODescriptor",
       replaced(replaced(good, "<md:IDPSSO", "<md:SPSSO"), "</md:IDPSSO", "</md:SPSSO")},
      {"HTTP-Redirect", replaced(good, "bindings:HTTP-Redirect", "bindings:SOAP")},
      {"https://", replaced(good, "https://idp.example/sso", "http://idp.example/sso")},
      {"https://", replaced(good, "https://idp.example/sso", "javascript:alert(1)")},
      {"no certificate", replaced(good, "use=\"signing\"", "use=\"encryption\"")},
      {"no base64", replaced(good, "<ds:X509Certificate>", "<ds:X509Certificate>!")},
      {"cannot be read", replaced(good, "<ds:X509Certificate>", "<ds:X509Certificate>AAAA")},
      {"2,048", TestIdp(1024).metadata()},
  };
  for (const auto& [part, text] : cases) {
    const auto read = parse_idp_metadata(text);
    ASSERT_FALSE(read) << part;
    EXPECT_EQ(read.error().code, Errc::kInvalidArgument);
    EXPECT_THAT(read.error().message, HasSubstr(part));
  }
}

TEST(IdpMetadata, IsReadFromAFileOfAtMostAMegabyte) {
  const std::string folder = sql::testing::make_folder("asahi-saml-").value();
  std::ofstream(folder + "/idp.xml") << TestIdp().metadata();
  EXPECT_TRUE(read_idp_metadata(folder + "/idp.xml"));
  std::ofstream(folder + "/large.xml") << std::string(2 * 1024 * 1024, ' ');
  EXPECT_THAT(read_idp_metadata(folder + "/large.xml").error().message, HasSubstr("1 MiB"));
  EXPECT_EQ(read_idp_metadata(folder + "/none.xml").error().code, Errc::kUnavailable);
  EXPECT_FALSE(read_idp_metadata(folder));
}

TEST(SpKeyTest, IsMadeOnceAndKeptForTheOwnerOnly) {
  const std::string folder = sql::testing::make_folder("asahi-saml-").value() + "/saml_keys";
  std::string first, second;
  std::thread other([&] { second = SpKey::open("", folder, system_clock())->certificate(); });
  first = SpKey::open("", folder, system_clock())->certificate();
  other.join();
  EXPECT_EQ(first, second);
  EXPECT_EQ(SpKey::open("", folder, system_clock())->certificate(), first);
  EXPECT_EQ(SpKey::open(folder + "/sp.pem", "", system_clock())->certificate(), first);
  struct stat about{};
  ASSERT_EQ(::stat((folder + "/sp.pem").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST(SpKeyTest, AFileOpenToOthersOrWithoutKeyIsRefused) {
  const std::string folder = sql::testing::make_folder("asahi-saml-").value();
  ASSERT_TRUE(SpKey::open("", folder, system_clock()));
  ::chmod((folder + "/sp.pem").c_str(), 0644);
  EXPECT_THAT(SpKey::open("", folder, system_clock()).error().message, HasSubstr("chmod 600"));
  std::ofstream(folder + "/other.pem") << "-----BEGIN NOTHING-----\n";
  ::chmod((folder + "/other.pem").c_str(), 0600);
  EXPECT_EQ(SpKey::open(folder + "/other.pem", "", system_clock()).error().code,
            Errc::kInvalidArgument);
  EXPECT_FALSE(SpKey::open(folder + "/absent.pem", "", system_clock()));
}

}  // namespace
}  // namespace asahi::identity
