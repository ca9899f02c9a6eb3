#include <fmt/format.h>

#include <algorithm>

#include "llm/embed/text_embedder.h"
#include "net/loop.h"

namespace asahi::llm {
namespace {

bool worth_a_retry(const Error& error) {
  return error.code == Errc::kRateLimited || error.code == Errc::kUnavailable ||
         error.code == Errc::kTimeout || (error.code == Errc::kUpstream && error.reason.empty());
}

class VendorEmbedder final : public TextEmbedder {
 public:
  VendorEmbedder(Embedder& vendor, VendorEmbedderOptions options)
      : vendor_(vendor),
        options_(std::move(options)),
        traits_{fmt::format("{}/{}/{}", options_.provider, options_.model, options_.width),
                options_.width, 1} {}

  const EmbedderTraits& traits() const override { return traits_; }
  std::optional<Embedded> try_embed(std::string_view) override { return std::nullopt; }

  Task<std::vector<Embedded>> embed(std::vector<std::string> texts, EmbedPurpose purpose,
                                    CallContext context) override {
    std::vector<Embedded> out;
    out.reserve(texts.size());
    const std::size_t batch = std::max<std::size_t>(options_.batch, 1);
    for (std::size_t begin = 0; begin < texts.size(); begin += batch) {
      EmbeddingRequest request;
      request.model = options_.model;
      request.input.assign(
          texts.begin() + static_cast<std::ptrdiff_t>(begin),
          texts.begin() + static_cast<std::ptrdiff_t>(std::min(begin + batch, texts.size())));
      if (options_.send_width) request.dimensions = static_cast<std::int64_t>(options_.width);
      request.input_type = purpose == EmbedPurpose::kQuery ? "search_query" : "search_document";
      const std::size_t wanted = request.input.size();
      ASAHI_CO_TRY(auto response, co_await call(std::move(request), context));
      if (response.vectors.size() != wanted) {
        co_return fail(Errc::kUpstream,
                       fmt::format("{} answered {} embeddings to {} texts", options_.provider,
                                   response.vectors.size(), wanted));
      }
      for (std::vector<float>& vector : response.vectors) {
        if (vector.size() != options_.width) {
          co_return fail(
              Errc::kUpstream,
              fmt::format("{} answered an embedding of {} numbers, {} were expected; set "
                          "embeddings.dimension to the width of {}",
                          options_.provider, vector.size(), options_.width, options_.model));
        }
        if (auto unit = make_unit(vector); !unit) co_return std::unexpected(unit.error());
        out.push_back({std::make_shared<const std::vector<float>>(std::move(vector)), &traits_});
      }
    }
    co_return out;
  }

 private:
  Task<EmbeddingResponse> call(EmbeddingRequest request, CallContext context) {
    using Steady = std::chrono::steady_clock;
    context.deadline = std::min(context.deadline, Steady::now() + options_.timeout);
    for (std::size_t attempt = 0;; ++attempt) {
      auto done = co_await vendor_.embed(request, context);
      if (done) co_return done;
      if (attempt >= options_.waits.size() || !worth_a_retry(done.error())) co_return done;
      const auto wait = done.error().retry_after.value_or(options_.waits[attempt]);
      if (wait > options_.longest_wait || Steady::now() + wait >= context.deadline) co_return done;
      if (!co_await sleep(wait, context.cancel)) {
        co_return fail(Errc::kCancelled, "the caller went away");
      }
    }
  }

  Aw<bool> sleep(std::chrono::nanoseconds time, CancelSource* cancel) {
    if (options_.sleep) co_return co_await options_.sleep(time, cancel);
    co_return co_await net::Loop::current()->sleep_for(time, cancel);
  }

  Embedder& vendor_;
  const VendorEmbedderOptions options_;
  const EmbedderTraits traits_;
};

}  // namespace

std::unique_ptr<TextEmbedder> make_vendor_embedder(Embedder& vendor,
                                                   VendorEmbedderOptions options) {
  return std::make_unique<VendorEmbedder>(vendor, std::move(options));
}

}  // namespace asahi::llm
