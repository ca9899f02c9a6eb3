#include "base/dynamic_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <math.h>

namespace asahi::dynamic_library_test {
namespace {

using testing::HasSubstr;

constinit DynamicLibrary kMath{"libm.so.6", "Arithmetic", "libc6", "cbrtf"};
ASAHI_DYNAMIC_FUNCTION(kMath, cbrtf);

TEST(DynamicLibrary, ItsFunctionsAreCalledAsIfTheyWereLinked) {
  ASSERT_TRUE(kMath.load());
  EXPECT_TRUE(kMath.load()) << "again";
  EXPECT_EQ(cbrtf(27), 3);
  EXPECT_EQ(cbrtf(8), 2);
}

TEST(DynamicLibrary, SaysWhatIsMissingAndWhereItIsHad) {
  DynamicLibrary missing{"libnowhere.so.1", "Divination", "libnowhere1", "foretell"};
  const auto loaded = missing.load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::kUnavailable);
  EXPECT_THAT(loaded.error().message, HasSubstr("Divination needs libnowhere.so.1"));
  EXPECT_THAT(loaded.error().message, HasSubstr("libnowhere1"));
  DynamicLibrary old{"libm.so.6", "Arithmetic", "libc6", "cube_root_of_tomorrow"};
  EXPECT_FALSE(old.load()) << "too old for what is used of it";
}

TEST(DynamicLibraryDeathTest, AFunctionCalledTooEarlyEndsTheProgram) {
  DynamicLibrary missing{"libnowhere.so.1", "Divination", "libnowhere1", "foretell"};
  EXPECT_DEATH(missing.symbol("foretell"), "foretell of libnowhere.so.1 was called before");
}

}  // namespace
}  // namespace asahi::dynamic_library_test
