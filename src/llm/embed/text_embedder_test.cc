#include "llm/embed/text_embedder.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cmath>
#include <deque>

namespace asahi::llm {
namespace {

using namespace std::chrono_literals;

template <class T>
T run(Aw<T> coroutine) {
  boost::asio::io_context io;
  std::optional<T> out;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, std::move(coroutine), [&](std::exception_ptr error, T value) {
    thrown = error;
    out.emplace(std::move(value));
  });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*out);
}

/// Answers what the test told it to, in order.
class ScriptedEmbedder final : public Embedder {
 public:
  Task<EmbeddingResponse> embed(const EmbeddingRequest& request, const CallContext&) override {
    requests.push_back(request);
    if (script.empty()) co_return fail(Errc::kInternal, "nothing scripted");
    auto next = std::move(script.front());
    script.pop_front();
    co_return next;
  }
  void answer(std::vector<std::vector<float>> vectors) {
    EmbeddingResponse response;
    response.vectors = std::move(vectors);
    script.emplace_back(std::move(response));
  }
  void refuse(Errc code, std::optional<std::chrono::milliseconds> retry_after = {}) {
    auto error = fail(code, "no");
    error.error().retry_after = retry_after;
    script.emplace_back(std::move(error));
  }

  std::deque<Result<EmbeddingResponse>> script;
  std::vector<EmbeddingRequest> requests;
};

struct VendorFixture {
  ScriptedEmbedder vendor;
  std::vector<std::chrono::nanoseconds> slept;

  std::unique_ptr<TextEmbedder> make(std::size_t width, std::size_t batch = 96) {
    VendorEmbedderOptions options;
    options.provider = "cohere";
    options.model = "embed-english-v3.0";
    options.width = width;
    options.batch = batch;
    options.sleep = [this](std::chrono::nanoseconds time, CancelSource*) -> Aw<bool> {
      slept.push_back(time);
      co_return true;
    };
    return make_vendor_embedder(vendor, std::move(options));
  }
  Result<std::vector<Embedded>> embed(TextEmbedder& embedder, std::vector<std::string> texts) {
    return run(embedder.embed(std::move(texts), EmbedPurpose::kQuery, CallContext{}));
  }
};

double alike(std::string_view a, std::string_view b) {
  const auto embedder = make_local_embedder();
  return cosine(*embedder->try_embed(a)->vector, *embedder->try_embed(b)->vector);
}

TEST(Cosine, IsHeldWithinItsLimitsAndZeroForOtherWidths) {
  const std::vector<float> a{1.0000001F, 0}, b{-1.0000001F, 0}, c{1, 0, 0};
  EXPECT_EQ(cosine(a, a), 1);
  EXPECT_EQ(cosine(a, b), -1);
  EXPECT_EQ(cosine(a, c), 0);
  const std::vector<float> rows{1, 0, 0, 1};
  EXPECT_EQ(cosines(std::vector<float>{1, 0}, rows), (std::vector<double>{1, 0}));
}

TEST(Cosine, AVectorWithoutDirectionIsRefused) {
  std::vector<float> zero(4), nan{1, NAN};
  EXPECT_FALSE(make_unit(zero));
  EXPECT_FALSE(make_unit(nan));
}

TEST(LocalEmbedder, GivesUnitVectorsForAnyBytes) {
  const auto embedder = make_local_embedder(256);
  for (const std::string_view text : {"", "hello", "\xff\x00\xc3(", "日本語のテキスト"}) {
    const auto made = embedder->try_embed(text);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->vector->size(), 256u);
    EXPECT_NEAR(cosine(*made->vector, *made->vector), 1, 1e-5);
  }
}

TEST(LocalEmbedder, IsTheSameEveryTime) {
  EXPECT_EQ(*make_local_embedder()->try_embed("How are you?")->vector,
            *make_local_embedder()->try_embed("How are you?")->vector);
}

TEST(LocalEmbedder, PutsParaphrasesNearerThanOtherQuestions) {
  const double paraphrase =
      alike("How do I reset my password?", "What is the best way to reset a password?");
  EXPECT_GT(paraphrase, 0.6);
  EXPECT_LT(alike("How do I reset my password?", "What is the capital of France?"), 0.3);
  EXPECT_GT(paraphrase, alike("How do I reset my password?", "How do I choose a laptop?"));
}

TEST(LocalEmbedder, NamesModelAndWidth) {
  EXPECT_EQ(make_local_embedder(512)->traits().tag, "local-1/512");
  EXPECT_NE(make_local_embedder(512)->traits().tag, make_local_embedder(256)->traits().tag);
}

TEST(EmbedderTraits, KeepTheOrderOfCosines) {
  const auto embedder = make_local_embedder();
  double before = -1;
  for (double c = 0; c <= 1; c += 0.05) {
    EXPECT_GT(embedder->traits().similarity(c), before);
    before = embedder->traits().similarity(c);
  }
  EXPECT_EQ(embedder->traits().similarity(1), 1);
  EXPECT_EQ(embedder->traits().similarity(-0.5), 0);
}

TEST(VendorEmbedder, CutsTextsIntoBatches) {
  VendorFixture fixture;
  const auto embedder = fixture.make(2, 2);
  fixture.vendor.answer({{3, 4}, {1, 0}});
  fixture.vendor.answer({{0, 2}});
  const auto made = fixture.embed(*embedder, {"a", "b", "c"});
  ASSERT_TRUE(made);
  ASSERT_EQ(made->size(), 3u);
  EXPECT_FLOAT_EQ((*made)[0].vector->at(0), 0.6F);
  EXPECT_FLOAT_EQ((*made)[2].vector->at(1), 1.0F);
  EXPECT_EQ(fixture.vendor.requests.size(), 2u);
  EXPECT_EQ(fixture.vendor.requests[0].input_type, "search_query");
}

TEST(VendorEmbedder, RefusesAnotherWidth) {
  VendorFixture fixture;
  const auto embedder = fixture.make(3);
  fixture.vendor.answer({{1, 0}});
  const auto made = fixture.embed(*embedder, {"a"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kUpstream);
  EXPECT_NE(made.error().message.find("3 were expected"), std::string::npos);
}

TEST(VendorEmbedder, RefusesAWrongNumberOfVectors) {
  VendorFixture fixture;
  const auto embedder = fixture.make(2);
  fixture.vendor.answer({{1, 0}, {0, 1}});
  EXPECT_FALSE(fixture.embed(*embedder, {"a"}));
}

TEST(VendorEmbedder, TriesThreeTimesMoreWithGrowingWaits) {
  VendorFixture fixture;
  const auto embedder = fixture.make(2);
  for (int i = 0; i < 4; ++i) fixture.vendor.refuse(Errc::kUnavailable);
  const auto made = fixture.embed(*embedder, {"a"});
  ASSERT_FALSE(made);
  EXPECT_EQ(fixture.slept, (std::vector<std::chrono::nanoseconds>{1s, 2s, 4s}));
  EXPECT_EQ(fixture.vendor.requests.size(), 4u);
}

TEST(VendorEmbedder, WaitsAsLongAsTheVendorSays) {
  VendorFixture fixture;
  const auto embedder = fixture.make(2);
  fixture.vendor.refuse(Errc::kRateLimited, 7s);
  fixture.vendor.answer({{1, 0}});
  EXPECT_TRUE(fixture.embed(*embedder, {"a"}));
  EXPECT_EQ(fixture.slept, std::vector<std::chrono::nanoseconds>{7s});
}

TEST(VendorEmbedder, DoesNotTryAgainWhatTheCallerDidWrong) {
  VendorFixture fixture;
  const auto embedder = fixture.make(2);
  fixture.vendor.refuse(Errc::kInvalidArgument);
  EXPECT_FALSE(fixture.embed(*embedder, {"a"}));
  EXPECT_TRUE(fixture.slept.empty());
}

TEST(MemoEmbedder, AsksOncePerText) {
  VendorFixture fixture;
  MemoEmbedder memo(fixture.make(2), 10);
  fixture.vendor.answer({{1, 0}});
  EXPECT_FALSE(memo.try_embed("a"));
  ASSERT_TRUE(fixture.embed(memo, {"a"}));
  ASSERT_TRUE(memo.try_embed("a"));
  ASSERT_TRUE(fixture.embed(memo, {"a"}));
  EXPECT_EQ(fixture.vendor.requests.size(), 1u);
}

TEST(MemoEmbedder, ForgetsTheLongestUnused) {
  MemoEmbedder memo(make_mock_text_embedder(1, 8), 2);
  memo.try_embed("a");
  memo.try_embed("b");
  memo.try_embed("a");
  memo.try_embed("c");
  EXPECT_EQ(memo.size(), 2u);
}

}  // namespace
}  // namespace asahi::llm
