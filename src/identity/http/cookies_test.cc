#include "identity/http/cookies.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

http::Request with(std::initializer_list<const char*> fields) {
  http::Request request;
  for (const char* field : fields) request.headers.add("cookie", field);
  return request;
}

TEST(Cookies, AreFoundByTheirWholeName) {
  const auto request = with({"a=1; ab=2;  b = 3;c=x=y; empty=; =nameless; alone"});
  EXPECT_EQ(cookie_value(request, "a"), "1");
  EXPECT_EQ(cookie_value(request, "ab"), "2");
  EXPECT_EQ(cookie_value(request, "c"), "x=y");
  for (const char* absent : {"b", "empty", "alone", "A", "1", "nameless"})
    EXPECT_EQ(cookie_value(request, absent), "") << absent;
}

TEST(Cookies, TheFirstOfANameCountsOverAllFields) {
  const auto request = with({"a=1; a=2", "a=3; b=4"});
  EXPECT_EQ(cookie_value(request, "a"), "1");
  EXPECT_EQ(cookie_value(request, "b"), "4");
}

TEST(Cookies, NoFieldNoValue) {
  EXPECT_EQ(cookie_value(with({}), "a"), "");
  EXPECT_EQ(cookie_value(with({"", ";;;", "; ;"}), "a"), "");
}

}  // namespace
}  // namespace asahi::identity
