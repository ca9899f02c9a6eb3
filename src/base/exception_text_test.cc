#include "base/exception_text.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace asahi {
namespace {

std::exception_ptr thrown(void (*what)()) {
  try {
    what();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

TEST(ExceptionText, NamesTypeAndText) {
  EXPECT_EQ(exception_text(thrown([] { throw std::out_of_range("too far"); })),
            "std::out_of_range: too far");
}

TEST(ExceptionText, FollowsTheChain) {
  EXPECT_EQ(exception_text(thrown([] {
              try {
                throw std::out_of_range("too far");
              } catch (...) {
                std::throw_with_nested(std::runtime_error("cannot read"));
              }
            })),
            "cannot read; because of std::out_of_range: too far");
}

TEST(ExceptionText, NamesWhatIsNoException) {
  EXPECT_EQ(exception_text(thrown([] { throw 7; })), "int");
}

}  // namespace
}  // namespace asahi
