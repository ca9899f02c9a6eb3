#include "memory/ingest/payload.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/testing/packed.h"

namespace asahi::memory {
namespace {

using ::testing::ElementsAre;

struct Read {
  std::vector<std::string> items;
  std::vector<std::uint64_t> indexes;
  std::vector<BadItem> faults;
  std::string error;
};

struct File {
  std::string name, bytes;
};

Read read(const std::vector<File>& files, std::size_t step = 1 << 20, std::uint64_t skip = 0) {
  Read out;
  PayloadReader reader({}, skip);
  const auto drain = [&] {
    for (;;) {
      auto item = reader.next();
      if (!item) {
        out.error = item.error().message;
        return false;
      }
      if (!*item) return true;
      if ((*item)->fault) {
        out.faults.push_back(*(*item)->fault);
      } else {
        out.items.emplace_back((*item)->text);
        out.indexes.push_back((*item)->index);
      }
    }
  };
  for (const File& file : files) {
    EXPECT_TRUE(reader.begin_file(file.name, compression_of_name(file.name)));
    for (std::size_t at = 0; at < file.bytes.size(); at += step) {
      reader.give(file.bytes.substr(at, step));
      if (!drain()) return out;
    }
    if (auto ended = reader.end_file(); !ended) out.error = ended.error().message;
    if (!drain()) return out;
  }
  return out;
}

Read bundle(const std::string& text, std::size_t step = 1 << 20) {
  return read({{"memories.json", text}}, step);
}

TEST(Payload, ItemsComeWholeWhateverTheCutsAre) {
  const std::string text =
      "\xEF\xBB\xBF{\"version\": {\"a\":[1,\"]}\"]}, \"conversations\" : [ "
      "{\"content\":\"a\\\"]}\"} ,"
      "{\"b\":[{}]},7,\"x,\\\\\", null ], \"tail\": false }\n";
  const std::vector<std::string> items = {R"({"content":"a\"]}"})", R"({"b":[{}]})", "7",
                                          R"("x,\\")", "null"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    const Read got = bundle(text, step);
    EXPECT_EQ(got.items, items) << step;
    EXPECT_TRUE(got.faults.empty()) << got.faults.front().detail;
  }
}

TEST(Payload, LinesMayBeBlankBrokenOrTheLastWithoutEnd) {
  const std::string text = "{\"a\":1}\r\n\n  \n{broken\n{\"b\":2}";
  for (std::size_t step = 1; step <= text.size(); ++step)
    EXPECT_THAT(read({{"x.jsonl", text}}, step).items,
                ElementsAre("{\"a\":1}", "{broken", "{\"b\":2}"));
}

TEST(Payload, CountsOverAllFilesAndCompressions) {
  const std::string one = R"({"conversations":[{"i":0},{"i":1}]})";
  const std::string two = "{\"i\":2}\n{\"i\":3}\n";
  const std::vector<File> files = {{"a.json", one},
                                   {"b.jsonl.zst", testing::packed(Compression::kZstd, two)},
                                   {"c.json.gz", testing::packed(Compression::kGzip, one)},
                                   {"d.jsonl.lz4", testing::packed(Compression::kLz4, two)}};
  EXPECT_THAT(read(files, 7).indexes, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(read(files, 7, 3).indexes, ElementsAre(3, 4, 5, 6, 7));
}

TEST(Payload, WhatIsBrokenLosesWhatFollowsAndNothingBefore) {
  const std::pair<const char*, std::size_t> kBroken[] = {
      {R"({"conversations":[{"a":1},{"b":2})", 2},
      {R"({"conversations":[{"a":1},{"b":[}]})", 1},
      {R"({"conversations":[{"a":1},,{"b":1}]})", 1},
      {R"({"conversations":[{"a":1} {"b":1}]})", 1},
      {R"({"conversations":[{"a":1}]} x)", 1},
      {R"({"conversations":{"a":1}})", 0},
      {R"({"memories":[]})", 0},
      {R"([{"a":1}])", 0},
      {"", 0},
      {R"({"conversations":[{"a":"cut)", 0},
  };
  for (const auto& [text, items] : kBroken) {
    const Read got = bundle(text);
    EXPECT_EQ(got.items.size(), items) << text;
    ASSERT_EQ(got.faults.size(), 1U) << text;
    EXPECT_EQ(got.faults.front().fault, ItemFault::kBroken);
    EXPECT_FALSE(got.faults.front().detail.empty());
  }
}

TEST(Payload, PassesOverItemsThatAreTooLarge) {
  ItemScanner scanner(ItemScanner::Format::kBundle, 10);
  const std::string text = R"({"conversations":["12345678901234567890",1]})";
  std::string_view rest = text;
  EXPECT_EQ(scanner.next(rest), ItemScanner::Step::kOversize);
  EXPECT_EQ(scanner.next(rest), ItemScanner::Step::kItem);
  EXPECT_EQ(scanner.item(), "1");
  EXPECT_EQ(scanner.next(rest), ItemScanner::Step::kMore);
  EXPECT_EQ(scanner.finish(), ItemScanner::Step::kMore);

  ItemScanner lines(ItemScanner::Format::kLines, 10);
  rest = "12345678901234567890\n1\n12345678901234567890";
  EXPECT_EQ(lines.next(rest), ItemScanner::Step::kOversize);
  EXPECT_EQ(lines.next(rest), ItemScanner::Step::kItem);
  EXPECT_EQ(lines.next(rest), ItemScanner::Step::kMore);
  EXPECT_EQ(lines.finish(), ItemScanner::Step::kOversize);
}

TEST(Payload, DeepNestingEndsTheFileNotTheProcess) {
  const Read got = bundle("{\"conversations\":[" + std::string(1'000'000, '['));
  ASSERT_EQ(got.faults.size(), 1U);
  EXPECT_EQ(got.faults.front().fault, ItemFault::kBroken);
}

class ItemTest : public ::testing::Test {
 protected:
  ItemTest() {
    rules_.tenant = "acme";
    rules_.system_id = "agent";
    rules_.upload_id = "up1";
    rules_.uploaded_at = rules_.now - std::chrono::hours(1);
    rules_.width = 2;
    rules_.embedding_model = "ours";
  }
  std::expected<Memory, BadItem> item(const std::string& text) {
    return read_item(text, rules_, 4);
  }
  std::string metadata(const std::string& text, std::string_view field) {
    const auto memory = item(text);
    EXPECT_TRUE(memory) << memory.error().detail;
    const auto parsed = parse_json(memory->metadata).value();
    const json::value* value = parsed.get_object().if_contains(field);
    return value == nullptr ? "" : write_json(*value);
  }

  ItemRules rules_{.now = Clock::Time{std::chrono::seconds{1'700'000'000}}};
};

TEST_F(ItemTest, DefaultsWhatIsMissing) {
  const auto memory = item(R"({"content":"hello"})");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->key, (Key{"acme", "agent", "up1_4"}));
  EXPECT_EQ(memory->timestamp, rules_.uploaded_at);
  EXPECT_EQ(memory->uploaded_at, rules_.now);
  EXPECT_EQ(memory->content_hash, sha256("hello"));
  EXPECT_EQ(metadata(R"({"content":"hello"})", "source"), R"("session-buddy")");
  EXPECT_EQ(metadata(R"({"content":"hello"})", "upload_id"), R"("up1")");
  EXPECT_EQ(metadata(R"({"content":"hello"})", "content_hash"),
            "\"" + to_hex(sha256("hello")) + "\"");
}

TEST_F(ItemTest, KeepsWhatIsSaid) {
  const auto memory = item(
      R"({"id":"c 7","content":"x","timestamp":"2023-11-14T20:00:00Z","source":"bot","metadata":{"tags":["a"],"upload_id":"forged"}})");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->key.conversation_id, "c 7");
  EXPECT_EQ(format_rfc3339(memory->timestamp), "2023-11-14T20:00:00.000Z");
  EXPECT_EQ(metadata(R"({"content":"x","metadata":{"upload_id":"forged"}})", "upload_id"),
            R"("up1")");
  EXPECT_EQ(metadata(R"({"content":"x","source":"bot"})", "source"), R"("bot")");
  EXPECT_EQ(item(R"({"id":12,"content":"x"})")->key.conversation_id, "12");
}

TEST_F(ItemTest, OneBadItemSaysWhatIsWrong) {
  const std::tuple<const char*, ItemFault, const char*> kBad[] = {
      {R"({})", ItemFault::kEmpty, "content"},
      {R"({"content":""})", ItemFault::kEmpty, "content"},
      {R"({"content":" \n"})", ItemFault::kEmpty, "content"},
      {R"({"content":null})", ItemFault::kEmpty, "content"},
      {R"({"content":7})", ItemFault::kBadContent, "content"},
      {R"({"content":"a\u0000b"})", ItemFault::kBadContent, "content"},
      {R"(7)", ItemFault::kNotJson, ""},
      {R"({"content":)", ItemFault::kNotJson, ""},
      {"{\"content\":\"\xff\"}", ItemFault::kNotJson, ""},
      {R"({"content":"x","id":""})", ItemFault::kBadId, "id"},
      {R"({"content":"x","id":"a\nb"})", ItemFault::kBadId, "id"},
      {R"({"content":"x","id":[1]})", ItemFault::kBadId, "id"},
      {R"({"content":"x","timestamp":"soon"})", ItemFault::kBadTimestamp, "timestamp"},
      {R"({"content":"x","timestamp":5})", ItemFault::kBadTimestamp, "timestamp"},
      {R"({"content":"x","timestamp":"2033-01-01T00:00:00Z"})", ItemFault::kBadTimestamp,
       "timestamp"},
      {R"({"content":"x","metadata":[]})", ItemFault::kBadMetadata, "metadata"},
      {R"({"content":"x","source":1})", ItemFault::kBadMetadata, "source"},
      {R"({"content":"x","embedding":"1,2"})", ItemFault::kBadVector, "embedding"},
      {R"({"content":"x","embedding":[1]})", ItemFault::kBadVector, "embedding"},
      {R"({"content":"x","embedding":[1,2,3]})", ItemFault::kBadVector, "embedding"},
      {R"({"content":"x","embedding":[1,"2"]})", ItemFault::kBadVector, "embedding"},
      {R"({"content":"x","embedding":[1,1e39]})", ItemFault::kBadVector, "embedding"},
      {R"({"content":"x","embedding":[1,NaN]})", ItemFault::kNotJson, ""},
  };
  for (const auto& [text, fault, field] : kBad) {
    const auto memory = item(text);
    ASSERT_FALSE(memory) << text;
    EXPECT_EQ(memory.error().fault, fault) << text << memory.error().detail;
    EXPECT_EQ(memory.error().field, field) << text;
    EXPECT_EQ(memory.error().index, 4U);
  }
  const auto large = item(R"({"content":")" + std::string(kMaxContent + 1, 'x') + "\"}");
  EXPECT_EQ(large.error().fault, ItemFault::kTooLarge);
  const auto fat =
      item(R"({"content":"x","metadata":{"a":")" + std::string(kMaxMetadata, 'x') + "\"}}");
  EXPECT_EQ(fat.error().fault, ItemFault::kBadMetadata);
}

TEST_F(ItemTest, VectorsOfOurModelAreKeptAtLengthOne) {
  const auto memory = item(R"({"content":"x","embedding":[3,4.0],"embedding_model":"ours"})");
  ASSERT_TRUE(memory);
  EXPECT_THAT(memory->embedding, ElementsAre(0.6F, 0.8F));
  EXPECT_EQ(memory->embedding_model, "ours");
}

TEST_F(ItemTest, ForeignUnknownAndZeroVectorsAreLeftOut) {
  for (const char* text : {R"({"content":"x","embedding":[3,4],"embedding_model":"theirs"})",
                           R"({"content":"x","embedding":[3,4]})",
                           R"({"content":"x","embedding":[0,0],"embedding_model":"ours"})",
                           R"({"content":"x","embedding":null})"}) {
    const auto memory = item(text);
    ASSERT_TRUE(memory) << text;
    EXPECT_TRUE(memory->embedding.empty()) << text;
  }
  rules_.declared_model = "ours";
  EXPECT_FALSE(item(R"({"content":"x","embedding":[3,4]})")->embedding.empty());
  rules_.declared_model.clear();
  rules_.trust_unlabelled = true;
  EXPECT_FALSE(item(R"({"content":"x","embedding":[3,4]})")->embedding.empty());
  EXPECT_TRUE(
      item(R"({"content":"x","embedding":[3,4],"embedding_model":"theirs"})")->embedding.empty());
}

TEST_F(ItemTest, PushesKeepKnownMetadataAndMakeTheirSystemOfTheSource) {
  rules_.method = "http_push";
  rules_.system_id.clear();
  const std::string text =
      R"({"memory_id":"m1","text":"hello","metadata":{"source":"Session Buddy 2","created_at":"2023-11-14T21:00:00Z","secret":1,"project":"x"}})";
  const auto memory = item(text);
  ASSERT_TRUE(memory) << memory.error().detail;
  EXPECT_EQ(memory->key, (Key{"acme", "session-buddy-2", "m1"}));
  EXPECT_EQ(format_rfc3339(memory->timestamp), "2023-11-14T21:00:00.000Z");
  EXPECT_EQ(metadata(text, "secret"), "");
  EXPECT_EQ(metadata(text, "type"), R"("session_memory")");
  EXPECT_EQ(metadata(text, "ingestion_method"), R"("http_push")");
  EXPECT_EQ(metadata(text, "project"), R"("x")");
  EXPECT_EQ(item(R"({"memory_id":"m1","text":"x"})").error().fault, ItemFault::kBadSystem);
  EXPECT_EQ(item(R"({"memory_id":"m1","text":"x","system_id":"../a"})").error().fault,
            ItemFault::kBadSystem);
}

TEST(Slug, IsPlainLettersAndBounded) {
  EXPECT_EQ(slug("  Session Buddy/2 "), "session-buddy-2");
  EXPECT_EQ(slug("äöü"), "");
  EXPECT_EQ(slug(std::string(300, 'A')).size(), 100U);
}

}  // namespace
}  // namespace asahi::memory
