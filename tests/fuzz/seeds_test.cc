// Every fuzz target over its seeds, and over what is nearly a seed. A target aborts where its rule
// is broken.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// ASAHI_FUZZ_TARGETS is TARGET(name) of each, from CMakeLists.txt.
#define TARGET(name) extern "C" int name(const std::uint8_t* data, std::size_t size);
ASAHI_FUZZ_TARGETS
#undef TARGET

namespace {

using Entry = int (*)(const std::uint8_t*, std::size_t);

struct Target {
  std::string name;
  Entry entry;

  /// In a block of its own size, so that a sanitizer sees a read past its end.
  void run(const std::string& input) const {
    const std::vector<std::uint8_t> bytes(input.begin(), input.end());
    EXPECT_EQ(entry(bytes.data(), bytes.size()), 0);
  }
};

void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

std::vector<Target> targets() {
#define TARGET(name) {#name, &name},
  return {ASAHI_FUZZ_TARGETS};
#undef TARGET
}

std::vector<std::string> seeds_of(const std::string& target) {
  std::vector<std::string> seeds;
  const std::filesystem::path folder = std::filesystem::path(ASAHI_FUZZ_SEEDS) / target;
  if (!exists(folder)) return seeds;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return seeds;
}

std::string all_bytes() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

class FuzzTarget : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzTarget, KeepsItsRuleOverItsSeeds) {
  for (const std::string& seed : seeds_of(GetParam().name)) GetParam().run(seed);
}

TEST_P(FuzzTarget, KeepsItsRuleOverASeedCutShortAndASeedWithOneByteWrong) {
  for (const std::string& seed : seeds_of(GetParam().name)) {
    for (std::size_t part = 1; part < 8; ++part) {
      const std::size_t at = seed.size() * part / 8;
      GetParam().run(seed.substr(0, at));
      std::string wrong = seed;
      if (at < wrong.size()) wrong[at] = static_cast<char>(wrong[at] ^ 0x80);
      GetParam().run(wrong);
    }
  }
}

TEST_P(FuzzTarget, KeepsItsRuleOverNothingAndOverEveryByte) {
  GetParam().run("");
  GetParam().run(all_bytes());
}

INSTANTIATE_TEST_SUITE_P(Every, FuzzTarget, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return info.param.name; });

/// A folder whose target was renamed would never be read again.
TEST(FuzzSeeds, AreOfATarget) {
  for (const auto& folder : std::filesystem::directory_iterator(ASAHI_FUZZ_SEEDS)) {
    const std::string name = folder.path().filename();
    EXPECT_TRUE(
        std::ranges::any_of(targets(), [&](const Target& target) { return target.name == name; }))
        << "tests/fuzz/seeds/" << name;
  }
}

}  // namespace
