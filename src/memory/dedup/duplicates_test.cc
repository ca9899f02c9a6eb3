#include "memory/dedup/duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "memory/dedup/normalise.h"
#include "memory/dedup/shingles.h"

namespace asahi::memory::dedup {
namespace {

std::string words(std::mt19937& random, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += 'w';
    out += std::to_string(random() % 50'000);
    out += ' ';
  }
  return out;
}

/// A duplicates index with the texts that it was given.
struct Shelf {
  Duplicates index;
  std::vector<std::string> texts;
  std::vector<Duplicates::Slot> slots;

  void add(const std::string& text) {
    slots.push_back(index.add(sha256(text), fingerprint(text), texts.size()));
    texts.push_back(text);
  }
  std::optional<NearDuplicate> near(const std::string& text, double threshold = 0.85,
                                    std::optional<std::uint64_t> except = {}) const {
    return index.near(
        text, fingerprint(text), threshold,
        [&](std::uint64_t row) { return std::optional<std::string_view>(texts[row]); }, except);
  }
};

TEST(Duplicates, FindsTheSameBytesAtOnce) {
  Shelf shelf;
  shelf.add("The disk is full.");
  EXPECT_EQ(shelf.index.exact(sha256("The disk is full.")), 0U);
  EXPECT_EQ(shelf.index.exact(sha256("The disk is full!")), std::nullopt);
  shelf.index.remove(shelf.slots[0], sha256("The disk is full."));
  EXPECT_EQ(shelf.index.exact(sha256("The disk is full.")), std::nullopt);
  EXPECT_EQ(shelf.index.size(), 0U);
}

TEST(Duplicates, RowsOfTheSameContentGoOneByOne) {
  Shelf shelf;
  for (int i = 0; i < 3; ++i) shelf.add("same");
  EXPECT_EQ(shelf.index.exact(sha256("same")), 2U);
  shelf.index.remove(shelf.slots[1], sha256("same"));
  EXPECT_EQ(shelf.index.exact(sha256("same")), 2U);
  shelf.index.remove(shelf.slots[2], sha256("same"));
  EXPECT_EQ(shelf.index.exact(sha256("same")), 0U);
  shelf.index.remove(shelf.slots[0], sha256("same"));
  EXPECT_EQ(shelf.index.exact(sha256("same")), std::nullopt);
}

TEST(Duplicates, MeasuresWhatFingerprintsOnlyEstimate) {
  std::mt19937 random(3);
  Shelf shelf;
  const std::string text = words(random, 60);
  shelf.add(text);
  const std::string changed = text + "and one more";
  const auto found = shelf.near(changed);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->measured);
  EXPECT_DOUBLE_EQ(found->jaccard,
                   jaccard(shingle_set(normalised(text)), shingle_set(normalised(changed))));
  const auto blind = shelf.index.near(changed, fingerprint(changed), 0.85, nullptr);
  ASSERT_TRUE(blind);
  EXPECT_FALSE(blind->measured);
}

TEST(Duplicates, AnOlderVersionOfTheSameMemoryIsNoDuplicateOfIt) {
  std::mt19937 random(4);
  Shelf shelf;
  const std::string text = words(random, 40);
  shelf.add(text);
  EXPECT_TRUE(shelf.near(text));
  EXPECT_FALSE(shelf.near(text, 0.85, 0));
}

TEST(Duplicates, FindsNearlyAllOfWhatTheExactMeasureFindsAndNothingElse) {
  std::mt19937 random(11);
  Shelf shelf;
  for (int i = 0; i < 1500; ++i) shelf.add(words(random, 20 + random() % 60));
  int wanted = 0, missed = 0;
  for (int i = 0; i < 1500; ++i) {
    // One to three words of a known text replaced: Jaccard between 0.6 and 0.97.
    const std::size_t source = random() % shelf.texts.size();
    std::string text = shelf.texts[source];
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const std::size_t at = text.find(' ', random() % (text.size() - 1));
      if (at != std::string::npos) text.insert(at, "x");
    }
    const double truth =
        jaccard(shingle_set(normalised(text)), shingle_set(normalised(shelf.texts[source])));
    const auto found = shelf.near(text);
    if (truth >= 0.85) {
      ++wanted;
      if (!found || found->row != source) ++missed;
    } else {
      EXPECT_FALSE(found) << truth;
    }
  }
  EXPECT_GT(wanted, 300);
  EXPECT_LE(missed * 100, wanted) << "at most one in a hundred";
}

TEST(Lsh, CandidatesAreThoseThatShareABandThroughAddsAndRemoves) {
  std::mt19937 random(17);
  LshIndex index;
  std::map<LshIndex::Slot, Fingerprint> kept;
  std::vector<Fingerprint> bases(40);
  for (auto& base : bases)
    for (auto& row : base) row = static_cast<std::uint32_t>(random());
  const auto variant = [&] {
    Fingerprint print = bases[random() % bases.size()];
    for (unsigned changes = random() % 90; changes > 0; --changes)
      print[random() % print.size()] = static_cast<std::uint32_t>(random());
    return print;
  };
  const auto low = [](const Fingerprint& print, std::size_t row) { return print[row] & 0xFF; };
  for (int step = 0; step < 4000; ++step) {
    if (!kept.empty() && random() % 3 == 0) {
      const auto at = std::next(kept.begin(), static_cast<long>(random() % kept.size()));
      index.remove(at->first);
      kept.erase(at);
    } else {
      const Fingerprint print = variant();
      const auto slot = index.add(print);
      ASSERT_TRUE(kept.emplace(slot, print).second) << "a slot in use was given out";
    }
    ASSERT_EQ(index.size(), kept.size());
    if (step % 40 != 0) continue;
    const Fingerprint asked = variant();
    std::vector<LshIndex::Slot> expected;
    std::array<std::size_t, 16> in_band{};
    for (const auto& [slot, print] : kept) {
      bool shares = false;
      for (std::size_t band = 0; band < 16; ++band) {
        bool all = true;
        for (std::size_t row = band * 8; row < band * 8 + 8; ++row)
          all = all && low(print, row) == low(asked, row);
        shares = shares || all;
        in_band[band] += all ? 1 : 0;
      }
      if (shares) expected.push_back(slot);
    }
    if (std::ranges::max(in_band) >= LshIndex::kMostPerBand) continue;
    std::vector<LshIndex::Slot> found;
    for (const auto& candidate : index.candidates(asked, -1, 100'000)) {
      found.push_back(candidate.slot);
      EXPECT_NEAR(candidate.estimate, estimated_jaccard(asked, kept.at(candidate.slot)), 0.03);
    }
    std::ranges::sort(found);
    EXPECT_EQ(found, expected);
  }
}

TEST(Lsh, TextThatThousandsShareCostsNoMoreThanABandsLimit) {
  LshIndex index;
  const Fingerprint print = fingerprint("the same standard greeting from every agent of the fleet");
  for (int i = 0; i < 5000; ++i) index.add(print);
  const auto found = index.candidates(print, 0.85, 100'000);
  EXPECT_GE(found.size(), 1U);
  EXPECT_LE(found.size(), LshIndex::kBands * LshIndex::kMostPerBand);
  EXPECT_DOUBLE_EQ(found[0].estimate, 1);
}

}  // namespace
}  // namespace asahi::memory::dedup
