// With the real ONNX Runtime and real, tiny models (testing/tiny_model.py). Without the library
// (cmake --build … --target onnx_runtime) what needs it is skipped.
#include "llm/embed/onnx/onnx_embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/hash.h"
#include "llm/embed/onnx/runtime.h"
#include "llm/embed/text_embedder.h"
#include "net/blocking.h"

namespace asahi::llm {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Pooling = OnnxEmbedderOptions::Pooling;

constexpr std::size_t kWidth = 4;

/// What testing/tiny_model.py gives a token.
std::array<double, kWidth> vector_of(std::string_view token) {
  std::array<double, kWidth> out{};
  for (std::size_t i = 0; i < kWidth; ++i) {
    const Digest256 digest = sha256(std::string(token) + "/" + std::to_string(i));
    const std::uint32_t number = digest[0] | digest[1] << 8U | digest[2] << 16U |
                                 static_cast<std::uint32_t>(digest[3]) << 24U;
    out[i] = number % 1001 / 1000.0 - 0.5;
  }
  return out;
}

std::vector<float> unit_sum(std::initializer_list<std::string_view> tokens) {
  std::vector<float> sum(kWidth);
  for (const std::string_view token : tokens) {
    const auto one = vector_of(token);
    for (std::size_t i = 0; i < kWidth; ++i) sum[i] += static_cast<float>(one[i]);
  }
  EXPECT_TRUE(make_unit(sum));
  return sum;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
}

class OnnxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(ASAHI_ONNX_RUNTIME))
      GTEST_SKIP() << ASAHI_ONNX_RUNTIME << " is missing: build the target onnx_runtime";
    std::string folder = (fs::temp_directory_path() / "asahi-onnx-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    loops_.start();
  }
  void TearDown() override {
    loops_.stop();
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  OnnxEmbedderOptions model(const std::string& more = "") {
    const std::string command =
        "python3 " + std::string(ASAHI_TINY_MODEL) + " " + folder_.string() + " " + more;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    OnnxEmbedderOptions options;
    options.model = (folder_ / "model.onnx").string();
    options.runtime = ASAHI_ONNX_RUNTIME;
    return options;
  }
  static std::unique_ptr<TextEmbedder> make(OnnxEmbedderOptions options) {
    auto made = make_onnx_embedder(std::move(options));
    EXPECT_TRUE(made) << made.error().message;
    return made ? *std::move(made) : nullptr;
  }
  Result<std::vector<Embedded>> embed(TextEmbedder& embedder, std::vector<std::string> texts,
                                      CallContext context = {}) {
    using Made = Result<std::vector<Embedded>>;
    return net::run_sync<Made>(loops_.at(0), [&]() -> Aw<Made> {
      co_return co_await embedder.embed(texts, EmbedPurpose::kQuery, context);
    });
  }
  static Error refusal(OnnxEmbedderOptions options) {
    auto made = make_onnx_embedder(std::move(options));
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }

  fs::path folder_;
  net::LoopPool loops_{1};
};

TEST_F(OnnxTest, GivesTheMeanOfAllTokens) {
  const auto embedder = make(model());
  EXPECT_EQ(embedder->traits().width, kWidth);
  EXPECT_THAT(embedder->traits().tag, StartsWith("onnx/model-"));
  EXPECT_FALSE(embedder->try_embed("hello"));
  const auto made = embed(*embedder, {"Hello, world", "unaffable", "hello"});
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->size(), 3U);
  expect_near(*(*made)[0].vector, unit_sum({"[CLS]", "hello", "[UNK]", "world", "[SEP]"}));
  expect_near(*(*made)[1].vector, unit_sum({"[CLS]", "un", "##affable", "[SEP]"}));
  expect_near(*(*made)[2].vector, unit_sum({"[CLS]", "hello", "[SEP]"}));
  EXPECT_EQ((*made)[0].traits, &embedder->traits());
}

TEST_F(OnnxTest, GivesTheFirstTokenWhereThatIsAskedFor) {
  auto options = model();
  options.pooling = Pooling::kFirst;
  const auto made = embed(*make(options), {"hello"});
  ASSERT_TRUE(made);
  expect_near(*made->front().vector, unit_sum({"[CLS]"}));
}

TEST_F(OnnxTest, TakesWhatTheModelPoolsItself) {
  auto options = model("--kind pooled");
  const auto made = embed(*make(options), {"hello"});
  ASSERT_TRUE(made);
  std::vector<float> most(kWidth, -1);
  for (const std::string_view token : {"[CLS]", "hello", "[SEP]"}) {
    const auto one = vector_of(token);
    for (std::size_t i = 0; i < kWidth; ++i)
      most[i] = std::max(most[i], static_cast<float>(one[i]));
  }
  ASSERT_TRUE(make_unit(most));
  expect_near(*made->front().vector, most);
  options.pooling = Pooling::kMean;
  const auto mean = embed(*make(options), {"hello"});
  ASSERT_TRUE(mean);
  expect_near(*mean->front().vector, unit_sum({"[CLS]", "hello", "[SEP]"}));
}

TEST_F(OnnxTest, NeedsNoTokenTypes) {
  const auto made = embed(*make(model("--kind no-types")), {"world"});
  ASSERT_TRUE(made);
  expect_near(*made->front().vector, unit_sum({"[CLS]", "world", "[SEP]"}));
}

TEST_F(OnnxTest, ManyTextsOfManyLengthsKeepTheirPlaces) {
  auto options = model();
  options.batch = 7;
  const auto embedder = make(options);
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) {
    std::string text;
    for (int j = 0; j <= i * 37 % 50; ++j) text += j % 3 == i % 3 ? "hello " : "world ";
    texts.push_back(text);
  }
  const auto together = embed(*embedder, texts);
  ASSERT_TRUE(together);
  for (std::size_t i = 0; i < texts.size(); i += 9) {
    const auto alone = embed(*embedder, {texts[i]});
    ASSERT_TRUE(alone);
    expect_near(*(*together)[i].vector, *alone->front().vector);
  }
}

TEST_F(OnnxTest, CutsLongTexts) {
  auto options = model();
  options.max_tokens = 4;
  const auto made = embed(*make(options), {"hello world hello hello hello"});
  ASSERT_TRUE(made);
  expect_near(*made->front().vector, unit_sum({"[CLS]", "hello", "world", "[SEP]"}));
}

TEST_F(OnnxTest, PutsThePrefixBefore) {
  auto options = model();
  options.prefix = "hello: ";
  const auto made = embed(*make(options), {"world"});
  ASSERT_TRUE(made);
  expect_near(*made->front().vector, unit_sum({"[CLS]", "hello", "[UNK]", "world", "[SEP]"}));
}

TEST_F(OnnxTest, TagTellsWhatShapesTheVectors) {
  auto options = model();
  const std::string tag = make(options)->traits().tag;
  EXPECT_EQ(make(options)->traits().tag, tag);
  auto other = options;
  other.pooling = Pooling::kFirst;
  EXPECT_NE(make(other)->traits().tag, tag);
  other = options;
  other.prefix = "query: ";
  EXPECT_NE(make(other)->traits().tag, tag);
  EXPECT_NE(make(model("--words hello,world"))->traits().tag, tag) << "another file, same name";
}

TEST_F(OnnxTest, SaysAtTheStartWhatIsWrong) {
  const auto good = model();
  auto options = good;
  options.model = (folder_ / "none.onnx").string();
  EXPECT_EQ(refusal(options).field, "model");
  EXPECT_THAT(refusal(options).message, HasSubstr("none.onnx"));

  options = good;
  options.runtime = (folder_ / "vocab.txt").string();
  EXPECT_EQ(refusal(options).field, "runtime");
  EXPECT_THAT(refusal(options).message, HasSubstr("ONNX Runtime cannot be opened"));
  options.runtime = "libc.so.6";
  EXPECT_THAT(refusal(options).message, HasSubstr("is no ONNX Runtime"));

  options = good;
  options.width = 384;
  EXPECT_EQ(refusal(options).field, "dimension");
  EXPECT_THAT(refusal(options).message, HasSubstr("4 numbers, not 384"));

  options = good;
  options.tokenizer = (folder_ / "none.json").string();
  EXPECT_EQ(refusal(options).field, "tokenizer");
  fs::create_directories(folder_ / "deep" / "deeper");
  fs::copy_file(folder_ / "model.onnx", folder_ / "deep" / "deeper" / "model.onnx");
  options.tokenizer.clear();
  options.model = (folder_ / "deep" / "deeper" / "model.onnx").string();
  EXPECT_THAT(refusal(options).message, HasSubstr("neither tokenizer.json nor vocab.txt"));

  std::ofstream(folder_ / "broken.onnx") << "no model at all";
  options = good;
  options.model = (folder_ / "broken.onnx").string();
  EXPECT_EQ(refusal(options).field, "model");
  EXPECT_THAT(refusal(options).message, HasSubstr("cannot read the model"));

  EXPECT_THAT(refusal(model("--kind other-input")).message, HasSubstr("takes 'position_ids'"));
  EXPECT_THAT(refusal(model("--kind float-ids")).message, HasSubstr("64-bit integers"));
}

TEST_F(OnnxTest, AVocabularyThatIsTooLargeForTheModelIsRefused) {
  const auto options = model();
  // What "probe" becomes lies beyond the model's table.
  std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
  for (int i = 0; i < 100; ++i) words += "x" + std::to_string(i) + "\n";
  std::ofstream(folder_ / "vocab.txt") << words << "probe\n";
  EXPECT_EQ(refusal(options).field, "model");
}

TEST_F(OnnxTest, EndsWithItsCallersTime) {
  const auto embedder = make(model());
  CallContext late;
  late.deadline = std::chrono::steady_clock::now() - 1s;
  std::vector<std::string> many(20'000, "hello world hello world hello world");
  const auto made = embed(*embedder, many, late);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kTimeout);
  EXPECT_TRUE(embed(*embedder, {"hello"})) << "and works for the next";
}

TEST_F(OnnxTest, EndsWithItsCaller) {
  const auto embedder = make(model());
  using Made = Result<std::vector<Embedded>>;
  const auto made = net::run_sync<Made>(loops_.at(0), [&]() -> Aw<Made> {
    CancelSource gone;
    gone.cancel();
    CallContext context;
    context.cancel = &gone;
    co_return co_await embedder->embed(std::vector<std::string>(5'000, "hello world"),
                                       EmbedPurpose::kQuery, context);
  });
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kCancelled);
}

TEST_F(OnnxTest, RefusesMoreThanMayWait) {
  auto options = model();
  options.max_waiting = 2;
  const auto embedder = make(options);
  using Count = std::pair<int, int>;
  const auto [made, refused] = net::run_sync<Count>(loops_.at(0), [&]() -> Aw<Count> {
    int good = 0, bad = 0, left = 20;
    net::Loop& loop = *net::Loop::current();
    for (int i = 0; i < 20; ++i) {
      loop.spawn("one", [&]() -> Aw<void> {
        std::vector<std::string> texts(500, "hello world");
        auto done = co_await embedder->embed(std::move(texts), EmbedPurpose::kQuery, {});
        ++(done ? good : bad);
        if (!done) EXPECT_EQ(done.error().code, Errc::kUnavailable);
        --left;
      });
    }
    while (left > 0) co_await loop.sleep_for(1ms);
    co_return Count(good, bad);
  });
  EXPECT_EQ(made + refused, 20);
  EXPECT_GE(made, 2);
  EXPECT_GT(refused, 0);
}

TEST(OnnxEmbedder, WithoutAVocabularyItSaysSo) {
  OnnxEmbedderOptions options;
  options.model = "/proc/self/exe";
  options.tokenizer = std::string(ASAHI_TINY_MODEL);
  const auto made = make_onnx_embedder(options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(made.error().field, "tokenizer") << "no vocabulary";
}

}  // namespace
}  // namespace asahi::llm
