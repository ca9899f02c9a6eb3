#include "gateway/governance/guard/pii.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace asahi::gateway {
namespace {

std::string masked(std::string text) {
  mask(text);
  return text;
}

struct Case {
  std::string text, expected;
};

class PiiIsMasked : public ::testing::TestWithParam<Case> {};
TEST_P(PiiIsMasked, WithTheTokenOfItsType) {
  EXPECT_EQ(masked(GetParam().text), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Cards, PiiIsMasked,
    ::testing::Values(Case{"4111111111111111", "[CC_REDACTED]"},
                      Case{"pay with 4111 1111 1111 1111.", "pay with [CC_REDACTED]."},
                      Case{"5500-0000-0000-0004, please", "[CC_REDACTED], please"},
                      Case{"amex 3782 822463 10005", "amex [CC_REDACTED]"},
                      Case{"两张卡4111111111111111和5500000000000004。",
                           "两张卡[CC_REDACTED]和[CC_REDACTED]。"}));
INSTANTIATE_TEST_SUITE_P(Ssns, PiiIsMasked,
                         ::testing::Values(Case{"SSN 123-45-6789", "SSN [SSN_REDACTED]"},
                                           Case{"(078-05-1120)", "([SSN_REDACTED])"},
                                           Case{"ssn: 123456789", "ssn: [SSN_REDACTED]"},
                                           Case{"my social security number is 123 45 6789",
                                                "my social security number is [SSN_REDACTED]"}));
INSTANTIATE_TEST_SUITE_P(
    Emails, PiiIsMasked,
    ::testing::Values(Case{"mail bob@example.com.", "mail [EMAIL_REDACTED]."},
                      Case{"<a.b+c@mail.example.co.uk>", "<[EMAIL_REDACTED]>"},
                      Case{"4155551234@txt.example.net", "[EMAIL_REDACTED]"},
                      Case{"请联系bob@example.com谢谢", "请联系[EMAIL_REDACTED]谢谢"},
                      Case{"jérôme@example.fr und x@münchen.de",
                           "[EMAIL_REDACTED] und [EMAIL_REDACTED]"},
                      Case{"a@example.com,b@example.com", "[EMAIL_REDACTED],[EMAIL_REDACTED]"}));
INSTANTIATE_TEST_SUITE_P(Addresses, PiiIsMasked,
                         ::testing::Values(Case{"from 192.168.1.10:8080",
                                                "from [IP_REDACTED]:8080"},
                                           Case{"10.0.0.0/8", "[IP_REDACTED]/8"},
                                           Case{"It was 8.8.8.8.", "It was [IP_REDACTED]."}));
INSTANTIATE_TEST_SUITE_P(
    Phones, PiiIsMasked,
    ::testing::Values(
        Case{"call 555-123-4567 now", "call [PHONE_REDACTED] now"},
        Case{"(555) 123-4567", "[PHONE_REDACTED]"}, Case{"(415)555-1234", "[PHONE_REDACTED]"},
        Case{"+1 (415) 555-1234", "[PHONE_REDACTED]"}, Case{"+14155551234", "[PHONE_REDACTED]"},
        Case{"1-800-555-0199", "[PHONE_REDACTED]"}, Case{"415.555.1234", "[PHONE_REDACTED]"},
        Case{"at 4155551234.", "at [PHONE_REDACTED]."},
        Case{"+44 20 7946 0958", "[PHONE_REDACTED]"}, Case{"+49 (0) 30 901820", "[PHONE_REDACTED]"},
        Case{"01 23 45 67 89", "[PHONE_REDACTED]"}, Case{"030 1234 5678", "[PHONE_REDACTED]"},
        Case{"138 0013 8000", "[PHONE_REDACTED]"}, Case{"13800138000", "[PHONE_REDACTED]"},
        Case{"415-555-1234 2 times", "[PHONE_REDACTED] 2 times"}));

TEST(Pii, LeavesOrdinaryNumbersAlone) {
  for (const char* text : {"2024-01-15 10:30:00",
                           "2026-11-21T10:00:00.123Z",
                           "2024-01-15 2024-01-16",
                           "01-02-2024 10 11",
                           "15.01.2024",
                           "12/05/2024 10 11",
                           "version 1.2.3.4",
                           "v10.0.19041.1",
                           "Chrome/120.0.6.1 Safari",
                           "1.2.3.4.5",
                           "1.2.3",
                           "256.1.1.1",
                           "01.02.03.04",
                           "$1,234,567,890.00",
                           "$4155551234",
                           "1 000 000 000",
                           "100 000 000 000",
                           "4111111111111112",  // fails Luhn
                           "1234567890123456",
                           "0000 0000 0000 0000",
                           "550e8400-e29b-41d4-a716-446655440000",
                           "00000000-0000-0000-0000-000000000001",
                           "d41d8cd98f00b204e9800998ecf8427e",
                           "0x1234567890ab",
                           "1700000000",
                           "1700000000123",
                           "20240115103000",
                           "order 8472910365",
                           "user_id=4155551234",
                           "req_4155551234ab",
                           "2147483647",
                           "4294967295",
                           "978-3-16-148410-0",
                           "0-306-40615-2",
                           "000-12-3456",
                           "666-12-3456",
                           "123-00-4567",
                           "3.14159265358979",
                           "10 20 30 40 50",
                           "1000 2000 3000",
                           "2024 2025 2026",
                           "@decorator",
                           "npm i @scope/pkg@1.2.3",
                           "user@host",
                           "a @ b.com",
                           "pi = 3.1415926535, e = 2.7182818284",
                           "1e10",
                           "1234567890",
                           "https://example.com/4155551234",
                           "0900 1000 1100 1200",
                           "RFC 9110 section 15.5.20"}) {
    EXPECT_EQ(masked(text), text);
    EXPECT_TRUE(find_pii(text).empty()) << text;
  }
}

TEST(Pii, NamesTheTypesInTheirOrder) {
  std::string text = "call 555-123-4567, mail a@b.example.com from 10.0.0.1, card 4111111111111111";
  const PiiTypes found = mask(text);
  EXPECT_EQ(found.names(),
            (std::vector<std::string>{"credit_card", "email", "ip_address", "phone"}));
  EXPECT_EQ(text,
            "call [PHONE_REDACTED], mail [EMAIL_REDACTED] from [IP_REDACTED], card [CC_REDACTED]");
}

TEST(Pii, MaskingTwiceChangesNothing) {
  std::string text = "+1 (415) 555-1234 / a@example.com / 123-45-6789";
  mask(text);
  const std::string once = text;
  EXPECT_TRUE(mask(text).empty());
  EXPECT_EQ(text, once);
}

TEST(Pii, FindsWhatLiesBeyondLongCleanText) {
  std::string text(100'000, 'x');
  text += " bob@example.com";
  EXPECT_TRUE(find_pii(text).has(PiiType::kEmail));
  text.append(100'000, '\xC3');  // not UTF-8: no harm
  EXPECT_TRUE(find_pii(text).has(PiiType::kEmail));
}

TEST(Pii, MasksJsonValuesAndKeepsTheirNames) {
  json::value value = json::parse(
      R"({"a@b.com":"x","to":["bob@example.com",{"card":4111111111111111}],"n":12,"d":1.5})");
  EXPECT_FALSE(mask(value).empty());
  EXPECT_EQ(write_json(value),
            R"({"a@b.com":"x","to":["[EMAIL_REDACTED]",{"card":"[CC_REDACTED]"}],"n":12,"d":1.5})");
}

llm::ChatRequest request_of(std::vector<llm::Part> parts, llm::Role role = llm::Role::kUser) {
  llm::ChatRequest request;
  request.messages.push_back({.role = role, .parts = std::move(parts), .name = {}});
  return request;
}

TEST(PiiOfRequests, MasksTextsToolResultsArgumentsAndFiles) {
  llm::FilePart file;
  file.media_type = "text/plain";
  file.data = base64_encode("ssn 123-45-6789");
  llm::ChatRequest request = request_of(
      {llm::TextPart{"I am bob@example.com", {}}, llm::ToolResultPart{"1", "10.0.0.1", {}, false},
       llm::ToolCallPart{"1", "pay", R"({"card":4111111111111111,"n":1})"}, file});
  EXPECT_EQ(mask(request).names().size(), 4U);
  EXPECT_TRUE(request.messages_changed);
  const auto& parts = request.messages[0].parts;
  EXPECT_EQ(std::get<llm::TextPart>(parts[0]).text, "I am [EMAIL_REDACTED]");
  EXPECT_EQ(std::get<llm::ToolResultPart>(parts[1]).text, "[IP_REDACTED]");
  EXPECT_EQ(std::get<llm::ToolCallPart>(parts[2]).arguments, R"({"card":"[CC_REDACTED]","n":1})");
  EXPECT_EQ(base64_decode(std::get<llm::FilePart>(parts[3]).data), "ssn [SSN_REDACTED]");
}

TEST(PiiOfRequests, LeavesImagesAndCleanRequestsAlone) {
  llm::ImagePart image;
  image.data = "4111111111111111bob@example.com";
  llm::ChatRequest request = request_of({image, llm::TextPart{"hello", {}}});
  EXPECT_TRUE(mask(request).empty());
  EXPECT_FALSE(request.messages_changed);
  EXPECT_EQ(std::get<llm::ImagePart>(request.messages[0].parts[0]).data, image.data);
}

TEST(PiiOfRequests, MasksWhatTravelsBesideTheMessages) {
  llm::ChatRequest request = request_of({llm::TextPart{"hello", {}}});
  request.user = "bob@example.com";
  request.original = *JsonDocument::parse(
      R"({"model":"m","messages":[{"role":"user","content":"hello"}],"user":"bob@example.com","metadata":{"ip":"10.0.0.1"},"seed":4155551234})");
  EXPECT_EQ(mask(request).names(), (std::vector<std::string>{"email", "ip_address"}));
  EXPECT_EQ(request.user, "[EMAIL_REDACTED]");
  EXPECT_FALSE(request.messages_changed);
  EXPECT_EQ(
      write_json(request.original->root()),
      R"({"model":"m","messages":[{"role":"user","content":"hello"}],"user":"[EMAIL_REDACTED]","metadata":{"ip":"[IP_REDACTED]"},"seed":4155551234})");
}

}  // namespace
}  // namespace asahi::gateway
