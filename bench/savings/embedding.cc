#include "savings/embedding.h"

#include <fmt/format.h>

#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include "llm/embed/onnx/onnx_embedder.h"
#include "llm/vendor.h"
#include "llm/wire/wire.h"
#include "net/blocking.h"

namespace asahi::savings {
namespace {

class Local final : public Embedding {
 public:
  const llm::EmbedderTraits& traits() const override { return embedder_->traits(); }
  Result<void> prepare(std::vector<std::string>) override { return {}; }
  std::vector<float> of(const std::string& text) override {
    return *embedder_->try_embed(text)->vector;
  }

 private:
  std::unique_ptr<llm::TextEmbedder> embedder_ = llm::make_local_embedder();
};

/// Asked once for each text, before the measures.
class Asked : public Embedding {
 public:
  ~Asked() override { loops_.stop(); }

  const llm::EmbedderTraits& traits() const override { return embedder_->traits(); }

  Result<void> prepare(std::vector<std::string> texts) override {
    constexpr std::size_t kAtOnce = 960;
    std::unordered_set<std::string> asked;
    std::vector<std::string> missing;
    for (std::string& text : texts) {
      if (!known_.contains(text) && asked.insert(text).second) missing.push_back(std::move(text));
    }
    for (std::size_t begin = 0; begin < missing.size(); begin += kAtOnce) {
      const auto first = missing.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto count = std::min(kAtOnce, missing.size() - begin);
      std::vector<std::string> batch(first, first + static_cast<std::ptrdiff_t>(count));
      auto made = net::run_sync<Result<std::vector<llm::Embedded>>>(
          loops_.at(0), [&]() -> Task<std::vector<llm::Embedded>> {
            co_return co_await embedder_->embed(batch, llm::EmbedPurpose::kQuery, {});
          });
      if (!made) return std::unexpected(std::move(made.error()));
      for (std::size_t i = 0; i < batch.size(); ++i)
        known_.emplace(std::move(batch[i]), *(*made)[i].vector);
    }
    return {};
  }
  std::vector<float> of(const std::string& text) override { return known_.at(text); }

 protected:
  net::LoopPool loops_{1};
  std::unique_ptr<llm::TextEmbedder> embedder_;

 private:
  std::unordered_map<std::string, std::vector<float>> known_;
};

class Remote final : public Asked {
 public:
  Remote(llm::VendorOptions vendor, std::unique_ptr<llm::VendorCodec> codec,
         llm::VendorEmbedderOptions options)
      : clients_(loops_,
                 [](net::Loop& loop) {
                   return std::make_unique<http::Client>(loop, http::ClientOptions{});
                 }),
        vendor_(std::move(vendor), std::move(codec), clients_) {
    embedder_ = llm::make_vendor_embedder(vendor_, std::move(options));
    loops_.start();
  }
  ~Remote() override { loops_.stop(); }

 private:
  net::PerLoop<http::Client> clients_;
  llm::Vendor vendor_;
};

class ModelFile final : public Asked {
 public:
  explicit ModelFile(std::unique_ptr<llm::TextEmbedder> embedder) {
    embedder_ = std::move(embedder);
    loops_.start();
  }
};

std::string variable(const std::string& suffix, std::string otherwise) {
  const char* const value = std::getenv(("ASAHI_BENCH_EMBEDDER" + suffix).c_str());
  return value == nullptr || *value == '\0' ? std::move(otherwise) : std::string(value);
}

}  // namespace

std::unique_ptr<Embedding> local_embedding() { return std::make_unique<Local>(); }

Result<std::unique_ptr<Embedding>> embedding_from_environment() {
  const std::string name = variable("", "");
  if (name.empty()) return nullptr;
  if (name == "onnx") {
    using Pooling = llm::OnnxEmbedderOptions::Pooling;
    llm::OnnxEmbedderOptions options;
    options.model = variable("_MODEL", "");
    options.tokenizer = variable("_TOKENIZER", "");
    options.runtime = variable("_RUNTIME", "");
    options.prefix = variable("_PREFIX", "");
    const std::string pooling = variable("_POOLING", "auto");
    options.pooling = pooling == "mean"  ? Pooling::kMean
                      : pooling == "cls" ? Pooling::kFirst
                                         : Pooling::kAuto;
    options.timeout = std::chrono::minutes(10);
    ASAHI_TRY(auto model, llm::make_onnx_embedder(std::move(options)));
    return std::make_unique<ModelFile>(std::move(model));
  }
  struct Usual {
    std::string url, model, width;
    std::unique_ptr<llm::VendorCodec> codec;
  };
  Usual usual;
  if (name == "openai") {
    usual = {"https://api.openai.com/v1", "text-embedding-3-small", "1536",
             llm::make_openai_chat_codec()};
  } else if (name == "cohere") {
    usual = {"https://api.cohere.com", "embed-english-v3.0", "1024", llm::make_cohere_codec()};
  } else if (name == "ollama") {
    usual = {"http://localhost:11434", "nomic-embed-text", "768", llm::make_ollama_codec()};
  } else {
    return fail(
        Errc::kInvalidArgument,
        fmt::format("ASAHI_BENCH_EMBEDDER is openai, cohere, ollama or onnx, not '{}'", name));
  }
  ASAHI_TRY(auto origin, http::Origin::parse(variable("_URL", usual.url)));
  llm::VendorOptions vendor{.name = name,
                            .origin = std::move(origin),
                            .api_key = Secret(variable("_KEY", "")),
                            .needs_key = name != "ollama"};
  llm::VendorEmbedderOptions options;
  options.provider = name;
  options.model = variable("_MODEL", usual.model);
  options.width = std::strtoul(variable("_WIDTH", usual.width).c_str(), nullptr, 10);
  if (options.width == 0)
    return fail(Errc::kInvalidArgument,
                "ASAHI_BENCH_EMBEDDER_WIDTH is how many numbers a vector has");
  return std::make_unique<Remote>(std::move(vendor), std::move(usual.codec), std::move(options));
}

}  // namespace asahi::savings
