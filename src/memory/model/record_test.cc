#include "memory/model/record.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

Memory sample() {
  Memory memory;
  memory.key = {"acme", "agent-1", "chat 7"};
  memory.content = "The deploy failed at 14:05.";
  memory.embedding = {0.6F, 0.8F};
  memory.embedding_model = "local-1";
  memory.timestamp = Clock::Time{std::chrono::seconds{1'700'000'000}};
  memory.uploaded_at = memory.timestamp + std::chrono::hours{1};
  memory.content_hash = sha256(memory.content);
  return memory;
}

TEST(MemoryKey, SystemsAreNamedByPlainLetters) {
  EXPECT_TRUE(check_system_id("Session-Buddy_01"));
  for (const char* bad : {"", "a b", "../x", "a.b", "sys*", "naïve"}) {
    const auto result = check_system_id(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().field, "system_id");
  }
  EXPECT_TRUE(check_system_id(std::string(100, 'a')));
  EXPECT_FALSE(check_system_id(std::string(101, 'a')));
}

TEST(MemoryKey, UploadsMayHaveDotsButNoWayUp) {
  EXPECT_TRUE(check_upload_id("2026.11.22-01"));
  EXPECT_FALSE(check_upload_id("a..b"));
  EXPECT_FALSE(check_upload_id("a/b"));
}

TEST(MemoryKey, ConversationsAreAnyTextWithoutControls) {
  EXPECT_TRUE(check_conversation_id("gespräch/7 #2"));
  EXPECT_FALSE(check_conversation_id(""));
  EXPECT_FALSE(check_conversation_id("a\nb"));
  EXPECT_FALSE(check_conversation_id("\xff"));
  EXPECT_FALSE(check_conversation_id(std::string(201, 'x')));
}

TEST(RowChecksum, TellsEveryColumnApart) {
  const Digest sum = row_checksum(sample());
  EXPECT_EQ(sum, row_checksum(sample()));
  const auto differs = [&](auto change) {
    Memory memory = sample();
    change(memory);
    return row_checksum(memory) != sum;
  };
  EXPECT_TRUE(differs([](Memory& m) { m.key.tenant = "acm"; }));
  EXPECT_TRUE(differs([](Memory& m) {
    m.key.system_id = "agent-1c";
    m.key.conversation_id = "hat 7";
  })) << "lengths keep columns apart";
  EXPECT_TRUE(differs([](Memory& m) { m.content += ' '; }));
  EXPECT_TRUE(differs([](Memory& m) { m.embedding[1] = 0.7999999F; }));
  EXPECT_TRUE(differs([](Memory& m) { m.embedding_model = "local-2"; }));
  EXPECT_TRUE(differs([](Memory& m) { m.timestamp += std::chrono::nanoseconds{1}; }));
  EXPECT_TRUE(differs([](Memory& m) { m.uploaded_at += std::chrono::nanoseconds{1}; }));
  EXPECT_TRUE(differs([](Memory& m) { m.metadata = "{ }"; }));
  EXPECT_TRUE(differs([](Memory& m) { m.content_hash[31] ^= 1; }));
  EXPECT_TRUE(differs([](Memory& m) { m.fingerprint[127] ^= 1; }));
  EXPECT_TRUE(differs([](Memory& m) { m.near_duplicate_of = Key{}; }));
}

}  // namespace
}  // namespace asahi::memory
