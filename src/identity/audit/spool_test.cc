#include "identity/audit/spool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "identity/audit/testing/audit_fixture.h"

namespace asahi::identity::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AuditSpool : public ::testing::Test {
 protected:
  std::unique_ptr<Spool> create(std::uint64_t max_bytes = 64 << 20) {
    auto made = Spool::create(folder_.path(), max_bytes);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  std::vector<std::unique_ptr<Spool>> adopt() {
    auto found = Spool::adopt(folder_.path());
    EXPECT_TRUE(found) << found.error().message;
    return std::move(*found);
  }
  static std::vector<std::string> read(Spool& spool, std::size_t most = 100) {
    auto chunk = spool.read(most);
    EXPECT_TRUE(chunk) << chunk.error().message;
    std::vector<std::string> payloads;
    for (auto& record : chunk->records) payloads.push_back(std::move(record.payload));
    spool.done(chunk->end);
    return payloads;
  }

  testing::Folder folder_{"asahi-spool-"};
};

TEST_F(AuditSpool, GivesRecordsInOrderAndOnce) {
  auto spool = create();
  ASSERT_TRUE(spool->append({"one", "", "three"}));
  EXPECT_THAT(read(*spool, 2), ElementsAre("one", ""));
  ASSERT_TRUE(spool->append({"four"}));
  EXPECT_THAT(read(*spool), ElementsAre("three", "four"));
  EXPECT_TRUE(spool->drained());
  EXPECT_THAT(read(*spool), IsEmpty());
}

TEST_F(AuditSpool, AnotherProcessTakesOverWhatWasNotDone) {
  auto spool = create();
  ASSERT_TRUE(spool->append({"one", "two"}));
  read(*spool, 1);
  EXPECT_THAT(adopt(), IsEmpty());  // its owner lives
  spool.reset();
  auto found = adopt();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(adopt(), IsEmpty());  // it has one owner again
  EXPECT_THAT(read(*found[0]), ElementsAre("two"));
  found[0]->remove_if_drained();
  found.clear();
  EXPECT_THAT(adopt(), IsEmpty());
}

TEST_F(AuditSpool, APositionIsNeverUsedTwiceThoughTheFileStartsAnew) {
  auto spool = create();
  std::uint64_t last = 0;
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(spool->append({std::string(600'000, 'x')}));
    auto chunk = spool->read(10);
    ASSERT_TRUE(chunk);
    ASSERT_THAT(chunk->records, SizeIs(1));
    EXPECT_GT(chunk->records[0].at, last);
    last = chunk->records[0].at;
    spool->done(chunk->end);
  }
  EXPECT_LT(std::filesystem::file_size(spool->path()), 2'000'000);
  ASSERT_TRUE(spool->append({"left"}));
  spool.reset();
  auto found = adopt();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(read(*found[0]), ElementsAre("left"));
}

TEST_F(AuditSpool, ARecordCutByACrashEndsTheFile) {
  auto spool = create();
  ASSERT_TRUE(spool->append({"whole", "this one is cut"}));
  const std::string path = spool->path();
  const auto size = std::filesystem::file_size(path);
  spool.reset();
  for (std::uintmax_t cut = 1; cut < 8 + 15; ++cut) {
    std::filesystem::resize_file(path, size - cut);
    auto found = adopt();
    ASSERT_THAT(found, SizeIs(1));
    auto chunk = found[0]->read(10);
    ASSERT_TRUE(chunk);
    ASSERT_THAT(chunk->records, SizeIs(1));
    EXPECT_EQ(chunk->records[0].payload, "whole");
  }
  auto found = adopt();
  read(*found[0]);
  auto rest = found[0]->read(10);
  ASSERT_FALSE(rest);
  EXPECT_EQ(rest.error().code, Errc::kCorrupt);
  found[0]->set_aside();
  EXPECT_TRUE(found[0]->drained());
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST_F(AuditSpool, AChangedByteIsNoticed) {
  auto spool = create();
  ASSERT_TRUE(spool->append({"first", "second"}));
  const int file = ::open(spool->path().c_str(), O_WRONLY);
  ASSERT_EQ(::pwrite(file, "X", 1, 16 + 8), 1);
  ::close(file);
  auto chunk = spool->read(10);
  ASSERT_FALSE(chunk);
  EXPECT_EQ(chunk.error().code, Errc::kCorrupt);
}

TEST_F(AuditSpool, IsBounded) {
  auto spool = create(100);
  ASSERT_TRUE(spool->append({std::string(60, 'x')}));
  auto full = spool->append({std::string(60, 'x')});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::kTooLarge);
  EXPECT_THAT(read(*spool), SizeIs(1));
}

TEST_F(AuditSpool, OtherFilesStayWhereTheyAre) {
  std::ofstream(folder_.path() + "/notes.spool") << "something else entirely";
  std::ofstream(folder_.path() + "/empty.spool").flush();
  EXPECT_THAT(adopt(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/notes.spool"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/empty.spool"));
}

}  // namespace
}  // namespace asahi::identity::audit
