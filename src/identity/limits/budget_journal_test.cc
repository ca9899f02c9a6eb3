#include "identity/limits/budget_journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "identity/limits/budget_records.h"
#include "identity/limits/testing/budget_place.h"

namespace asahi::identity {
namespace {

using namespace std::chrono_literals;
using testing::DataFolder;

std::string read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::string& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

class BudgetJournalTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kSegment = 16 << 10;

  Result<std::unique_ptr<BudgetJournal>> open(const std::string& file, BudgetBook& book) {
    return BudgetJournal::open({.file = file, .segment_bytes = kSegment}, book, now_);
  }
  /// Three reservations, the second and third settled: 3 × 2 records for one account.
  void fill(BudgetJournal& journal, BudgetBook& book) {
    ASSERT_TRUE(journal.room(0, 64));
    journal.append_account(0, "org/acme");
    book.define(0, "org/acme");
    for (std::uint64_t id = 1; id <= 3; ++id) {
      BudgetBook::Open open{{static_cast<std::int64_t>(id) * 100}, now_, {}};
      open.accounts.add(0);
      ASSERT_TRUE(journal.room(book.open().size(), 0));
      journal.append_reserve(id, open);
      book.reserve(id, open);
    }
    for (std::uint64_t id = 2; id <= 3; ++id) {
      journal.append_settle(id, now_, {static_cast<std::int64_t>(id)});
      book.settle(id, now_, {static_cast<std::int64_t>(id)});
    }
  }
  BudgetSums day(BudgetBook& book) { return book.has(0) ? book.at(0).used.day() : BudgetSums{}; }

  Clock::Time now_ = ManualClock().now();
  DataFolder folder_;
};

TEST_F(BudgetJournalTest, GivesBackWhatWasWrittenAndSpendsWhatWasOpen) {
  std::string node;
  {
    BudgetBook book;
    const auto journal = open(folder_.journal(), book);
    ASSERT_TRUE(journal) << journal.error().message;
    fill(**journal, book);
    node = (*journal)->node();
  }
  for (int start = 0; start < 3; ++start) {
    BudgetBook book;
    const auto journal = open(folder_.journal(), book);
    ASSERT_TRUE(journal) << journal.error().message;
    EXPECT_EQ((*journal)->recovered().settled_at_estimate, start == 0 ? 1U : 0U);
    EXPECT_EQ(day(book), (BudgetSums{{105}, 3}));
    EXPECT_EQ(book.next_id(), 4U);
    EXPECT_EQ((*journal)->node(), node);
  }
}

TEST_F(BudgetJournalTest, RefusesASecondOwner) {
  BudgetBook book;
  const auto journal = open(folder_.journal(), book);
  ASSERT_TRUE(journal);
  BudgetBook other;
  const auto second = open(folder_.journal(), other);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kUnavailable);
  EXPECT_NE(second.error().message.find("another process"), std::string::npos);
}

TEST_F(BudgetJournalTest, SaysWhyItCannotWrite) {
  BudgetBook book;
  const auto journal = open("/proc/nowhere/budgets.journal", book);
  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, Errc::kUnavailable);
}

TEST_F(BudgetJournalTest, DropsALastRecordThatIsCutAtAnyByte) {
  {
    BudgetBook book;
    fill(**open(folder_.journal(), book), book);
  }
  const std::string whole = read(folder_.journal() + ".1");
  const std::string checkpoint = read(folder_.journal());
  const std::size_t end = whole.find_last_not_of('\0') + 1;
  const std::size_t last = (end + 7) / 8 * 8 - 40;  // a settlement has 40 bytes
  for (std::size_t cut = last; cut <= last + 40; ++cut) {
    for (const bool zeros_behind : {false, true}) {
      DataFolder place;
      write(place.journal(), checkpoint);
      std::string bytes = whole.substr(0, cut);
      if (zeros_behind) bytes.resize(whole.size(), '\0');
      write(place.journal() + ".1", bytes);
      BudgetBook book;
      const auto journal = open(place.journal(), book);
      ASSERT_TRUE(journal) << cut << ": " << journal.error().message;
      // Without its settlement, the third call counts at its estimate. The last bytes are zeros.
      const bool complete = cut >= (zeros_behind ? end : last + 40);
      EXPECT_EQ(day(book), (BudgetSums{{complete ? 105 : 402}, 3})) << cut;
      EXPECT_EQ((*journal)->recovered().torn, !complete && cut > last) << cut;
    }
  }
}

TEST_F(BudgetJournalTest, NoticesEveryFlippedBit) {
  {
    BudgetBook book;
    fill(**open(folder_.journal(), book), book);
  }
  const std::string whole = read(folder_.journal() + ".1");
  const std::size_t end = (whole.find_last_not_of('\0') + 8) / 8 * 8;
  const std::size_t last = end - 40;
  for (std::size_t bit = 0; bit < end * 8; ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    if (bit / 8 < budget_records::kHeaderBytes) {
      EXPECT_FALSE(budget_records::read_header(bytes)) << bit;
      continue;
    }
    BudgetBook book;
    const auto read_to = budget_records::replay(bytes, 1, book);
    ASSERT_TRUE(read_to) << bit;
    EXPECT_TRUE(read_to->torn) << bit;
    EXPECT_EQ(read_to->damaged, bit / 8 < last) << bit << ": good records follow";
    EXPECT_LE(read_to->offset, bit / 8) << bit;
  }
  const std::string checkpoint = read(folder_.journal());
  for (std::size_t bit = budget_records::kHeaderBytes * 8; bit < checkpoint.size() * 8; ++bit) {
    std::string bytes = checkpoint;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    BudgetBook book;
    const auto read_to = budget_records::replay(bytes, 0, book);
    EXPECT_TRUE(!read_to || !read_to->whole || read_to->torn) << bit;
  }
}

TEST_F(BudgetJournalTest, SaysHowToMendAFileThatIsDamagedInTheMiddle) {
  {
    BudgetBook book;
    fill(**open(folder_.journal(), book), book);
  }
  const std::string segment = folder_.journal() + ".1";
  for (const std::string& file : {folder_.journal(), segment}) {
    const std::string whole = read(file);
    std::string bytes = whole;
    bytes[90] = static_cast<char>(bytes[90] ^ 1);
    write(file, bytes);
    BudgetBook book;
    const auto journal = open(folder_.journal(), book);
    ASSERT_FALSE(journal) << file;
    EXPECT_EQ(journal.error().code, Errc::kCorrupt);
    EXPECT_NE(journal.error().message.find(file), std::string::npos);
    EXPECT_NE(journal.error().message.find("move"), std::string::npos);
    write(file, whole);
  }
  BudgetBook book;
  EXPECT_TRUE(open(folder_.journal(), book)) << "nothing was touched meanwhile";
}

TEST_F(BudgetJournalTest, MissesFilesThatShouldBeThere) {
  {
    BudgetBook book;
    const auto journal = open(folder_.journal(), book);
    fill(**journal, book);
    ASSERT_TRUE((*journal)->prepare());
  }
  const std::string checkpoint = read(folder_.journal());
  std::filesystem::remove(folder_.journal());
  BudgetBook book;
  EXPECT_EQ(open(folder_.journal(), book).error().code, Errc::kCorrupt);
  write(folder_.journal(), checkpoint);
  std::filesystem::remove(folder_.journal() + ".1");
  BudgetBook other;
  EXPECT_EQ(open(folder_.journal(), other).error().code, Errc::kCorrupt);
}

TEST_F(BudgetJournalTest, StaysBoundedByFoldingSegmentsIntoTheCheckpoint) {
  BudgetBook book;
  auto journal = open(folder_.journal(), book);
  ASSERT_TRUE(journal);
  ASSERT_TRUE((*journal)->room(0, 64));
  (*journal)->append_account(0, "org/acme");
  book.define(0, "org/acme");
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> open_calls;
  for (int i = 0; i < 20'000; ++i) {
    now_ += 100ms;
    BudgetBook::Open call{{static_cast<std::int64_t>(random() % 1'000)}, now_, {}};
    call.accounts.add(0);
    ASSERT_TRUE((*journal)->room(book.open().size(), 0));
    open_calls.push_back(book.next_id());
    (*journal)->append_reserve(open_calls.back(), call);
    book.reserve(open_calls.back(), call);
    if (open_calls.size() > 30) {
      std::swap(open_calls[random() % open_calls.size()], open_calls.back());
      const NanoUsd cost{static_cast<std::int64_t>(random() % 2'000)};
      (*journal)->append_settle(open_calls.back(), now_, cost);
      book.settle(open_calls.back(), now_, cost);
      open_calls.pop_back();
    }
    if (i % 500 == 0) {
      ASSERT_TRUE((*journal)->prepare());
      ASSERT_TRUE((*journal)->compact(now_));
      std::size_t files = 0;
      for ([[maybe_unused]] const auto& file :
           std::filesystem::directory_iterator(folder_.path())) {
        ++files;
      }
      EXPECT_LE(files, 4U) << "checkpoint, lock, current and next segment";
    }
  }
  book.settle_all_at_estimates();
  const BudgetSums expected = day(book);
  journal->reset();
  BudgetBook again;
  journal = open(folder_.journal(), again);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ((*journal)->recovered().settled_at_estimate, 30U);
  EXPECT_EQ(day(again), expected);
  EXPECT_EQ(again.at(0).used.month_sums(), expected);
}

TEST_F(BudgetJournalTest, RefusesMoreOpenCallsThanItCanSettle) {
  BudgetBook book;
  const auto journal = open(folder_.journal(), book);
  ASSERT_TRUE(journal);
  EXPECT_TRUE((*journal)->room(300, 0));
  EXPECT_EQ((*journal)->room(kSegment / 40, 0).error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace asahi::identity
