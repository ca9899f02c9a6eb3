#include "llm/embed/onnx/onnx_embedder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "llm/embed/onnx/runtime.h"
#include "llm/embed/onnx/word_piece.h"
#include "llm/embed/text_embedder.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::llm {
namespace {

namespace fs = std::filesystem;
using onnx::RunLimit;
using onnx::Session;
using Pooling = OnnxEmbedderOptions::Pooling;

/// Attention takes memory by the square of the length: some 100 MB for a run of that many tokens.
constexpr std::size_t kTokensPerRun = 4'096;

std::unexpected<Error> in_field(std::string field, Error error) {
  error.code = Errc::kInvalidArgument;
  error.field = std::move(field);
  return std::unexpected(std::move(error));
}

Result<std::string> read_text(const std::string& path) {
  std::error_code unknown;
  const auto size = fs::file_size(path, unknown);
  if (unknown) return fail(Errc::kNotFound, fmt::format("cannot read {}", path));
  if (size > onnx::WordPiece::kMaxFileBytes) {
    return fail(Errc::kInvalidArgument, fmt::format("{} has {} bytes, at most {} are read", path,
                                                    size, onnx::WordPiece::kMaxFileBytes));
  }
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  if (!in.is_open() || in.bad()) return fail(Errc::kNotFound, fmt::format("cannot read {}", path));
  return text;
}

/// Of the whole file, which is larger than what one wants to copy.
Result<Digest256> digest_of(const std::string& path) {
  const File file = File::open(path, O_RDONLY);
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
    return fail(Errc::kNotFound, fmt::format("cannot read the model file {}", path));
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (bytes == MAP_FAILED)
    return fail(Errc::kNotFound, fmt::format("cannot read the model file {}", path));
  const Digest256 digest = sha256({static_cast<const char*>(bytes), size});
  ::munmap(bytes, size);
  return digest;
}

Result<std::string> tokenizer_beside(const std::string& model) {
  const fs::path folder = fs::path(model).parent_path();
  for (const fs::path& place : {folder, folder / ".."}) {
    for (const char* const name : {"tokenizer.json", "vocab.txt"}) {
      std::error_code unknown;
      if (fs::is_regular_file(place / name, unknown)) return (place / name).string();
    }
  }
  return fail(Errc::kNotFound,
              fmt::format("neither tokenizer.json nor vocab.txt stands beside {}", model));
}

/// Beside the program or where packages put it; else the system looks.
std::string runtime_of_program() {
  constexpr const char* kName = "libonnxruntime.so.1";
  std::error_code unknown;
  const fs::path folder = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const fs::path& place : {folder / kName, folder / "../lib/asahi" / kName}) {
    if (fs::exists(place, unknown)) return place.string();
  }
  return kName;
}

std::string_view to_string(Pooling pooling) {
  constexpr std::array<std::string_view, 3> kNames = {"auto", "mean", "cls"};
  return kNames[static_cast<std::size_t>(pooling)];
}

/// What a model of this kind takes and gives.
struct Wiring {
  bool mask = false, types = false;
  std::string output;
};

Result<Wiring> wire(const Session& session, Pooling pooling) {
  Wiring wiring;
  bool ids = false;
  for (const Session::Port& port : session.inputs()) {
    if (port.name != "input_ids" && port.name != "attention_mask" &&
        port.name != "token_type_ids") {
      return fail(Errc::kInvalidArgument,
                  fmt::format("the model takes '{}'; a sentence embedding model takes input_ids, "
                              "attention_mask and perhaps token_type_ids",
                              port.name));
    }
    if (port.element != static_cast<std::int32_t>(Session::Element::kInt64))
      return fail(Errc::kInvalidArgument,
                  fmt::format("the model's input {} is not of 64-bit integers", port.name));
    ids = ids || port.name == "input_ids";
    wiring.mask = wiring.mask || port.name == "attention_mask";
    wiring.types = wiring.types || port.name == "token_type_ids";
  }
  if (!ids) return fail(Errc::kInvalidArgument, "the model has no input 'input_ids'");
  std::vector<std::string_view> wanted;
  if (pooling == Pooling::kAuto) wanted.emplace_back("sentence_embedding");
  for (const std::string_view name : {"last_hidden_state", "token_embeddings"})
    wanted.push_back(name);
  for (const std::string_view name : wanted) {
    const auto found = std::ranges::find(session.outputs(), name, &Session::Port::name);
    if (found == session.outputs().end()) continue;
    wiring.output = found->name;
    return wiring;
  }
  for (const Session::Port& port : session.outputs()) {
    const bool pooled = port.shape.size() == 2 && pooling == Pooling::kAuto;
    if (port.element != static_cast<std::int32_t>(Session::Element::kFloat) ||
        (port.shape.size() != 3 && !pooled))
      continue;
    wiring.output = port.name;
    return wiring;
  }
  return fail(Errc::kInvalidArgument,
              "the model gives neither sentence_embedding nor last_hidden_state");
}

/// Model and tokeniser: texts to unit vectors on the calling thread.
class Model {
 public:
  Model(std::shared_ptr<const onnx::Runtime> runtime, std::unique_ptr<Session> session,
        Wiring wiring, onnx::WordPiece tokens, OnnxEmbedderOptions options)
      : runtime_(std::move(runtime)),
        session_(std::move(session)),
        wiring_(std::move(wiring)),
        tokens_(std::move(tokens)),
        options_(std::move(options)) {}

  const std::shared_ptr<const onnx::Runtime>& runtime() const { return runtime_; }

  /// `width` 0: any.
  Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                std::size_t width, RunLimit& limit) const {
    std::vector<std::vector<std::int64_t>> ids;
    ids.reserve(texts.size());
    for (const std::string& text : texts)
      ids.push_back(tokens_.encode(options_.prefix + text, options_.max_tokens));
    // Texts of one length together: what fills the shorter ones up is computed, too.
    std::vector<std::pair<std::size_t, std::size_t>> by_length;
    for (std::size_t i = 0; i < ids.size(); ++i) by_length.emplace_back(ids[i].size(), i);
    std::ranges::sort(by_length);
    std::vector<std::size_t> order;
    for (const auto& [length, text] : by_length) order.push_back(text);
    std::vector<std::vector<float>> out(texts.size());
    for (std::size_t begin = 0; begin < order.size();) {
      std::size_t end = begin + 1;
      while (end < order.size() && end - begin < options_.batch &&
             (end + 1 - begin) * ids[order[end]].size() <= kTokensPerRun)
        ++end;
      const std::span<const std::size_t> rows = std::span(order).subspan(begin, end - begin);
      if (auto done = run(ids, rows, width, limit, out); !done)
        return std::unexpected(std::move(done.error()));
      begin = end;
    }
    return out;
  }

 private:
  Result<void> run(const std::vector<std::vector<std::int64_t>>& ids,
                   std::span<const std::size_t> rows, std::size_t width, RunLimit& limit,
                   std::vector<std::vector<float>>& out) const {
    const std::size_t columns = ids[rows.back()].size();  // the longest is the last
    std::vector<std::int64_t> words(rows.size() * columns), mask(words.size()), types(words.size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto& text = ids[rows[row]];
      const auto at = static_cast<std::ptrdiff_t>(row * columns);
      std::ranges::copy(text, words.begin() + at);
      std::fill_n(mask.begin() + at, text.size(), 1);
    }
    std::vector<Session::Input> inputs{{"input_ids", words}};
    if (wiring_.mask) inputs.push_back({"attention_mask", mask});
    if (wiring_.types) inputs.push_back({"token_type_ids", types});
    ASAHI_TRY(const Session::Output made,
              session_->run(inputs, rows.size(), columns, wiring_.output, limit));
    const bool pooled = made.shape.size() == 2;
    const auto is = [&made](std::size_t place, std::size_t size) {
      return made.shape[place] == static_cast<std::int64_t>(size);
    };
    if (!(pooled && is(0, rows.size())) &&
        !(made.shape.size() == 3 && is(0, rows.size()) && is(1, columns))) {
      return fail(Errc::kUpstream,
                  fmt::format("the model's output {} has another shape than texts × width or texts "
                              "× tokens × width",
                              wiring_.output));
    }
    const auto found = static_cast<std::size_t>(made.shape.back());
    if (found == 0 || (width != 0 && found != width)) {
      return fail(Errc::kUpstream, fmt::format("the model's vectors have {} numbers, {} were "
                                               "expected",
                                               found, width));
    }
    for (std::size_t row = 0; row < rows.size(); ++row) {
      std::vector<float> vector(found);
      const std::size_t tokens = pooled                                ? 1
                                 : options_.pooling == Pooling::kFirst ? 1
                                                                       : ids[rows[row]].size();
      const std::size_t first = pooled ? row : row * columns;
      for (std::size_t token = 0; token < tokens; ++token) {
        for (std::size_t i = 0; i < found; ++i)
          vector[i] += made.values[(first + token) * found + i];
      }
      // The mean's divisor goes with the length.
      if (auto unit = make_unit(vector); !unit) return unit;
      out[rows[row]] = std::move(vector);
    }
    return {};
  }

  const std::shared_ptr<const onnx::Runtime> runtime_;
  const std::unique_ptr<Session> session_;
  const Wiring wiring_;
  const onnx::WordPiece tokens_;
  const OnnxEmbedderOptions options_;
};

class OnnxEmbedder final : public TextEmbedder {
 public:
  OnnxEmbedder(std::unique_ptr<Model> model, EmbedderTraits traits,
               const OnnxEmbedderOptions& options)
      : model_(std::move(model)),
        traits_(std::move(traits)),
        timeout_(options.timeout),
        max_waiting_(std::max<std::size_t>(options.max_waiting, 1)),
        threads_(std::clamp<std::size_t>(options.threads, 1, 64)) {}
  ~OnnxEmbedder() override { threads_.join(); }

  const EmbedderTraits& traits() const override { return traits_; }
  /// A run takes milliseconds: never on a loop.
  std::optional<Embedded> try_embed(std::string_view) override { return std::nullopt; }

  Task<std::vector<Embedded>> embed(std::vector<std::string> texts, EmbedPurpose,
                                    CallContext context) override {
    if (texts.empty()) co_return std::vector<Embedded>{};
    net::Loop& home = *net::Loop::current();
    if (waiting_.fetch_add(1) >= max_waiting_) {
      --waiting_;
      co_return fail(Errc::kUnavailable, "too many texts wait for the embedding model");
    }
    const auto job = std::make_shared<Job>(home, model_->runtime(), std::move(texts));
    boost::asio::post(threads_, [this, job] {
      work(*job);
      --waiting_;
      job->home.post([job] {
        job->done = true;
        job->event.set();
      });
    });
    // The job outlives a caller that goes: it owns all it needs, and ends soon.
    const auto wake = [job] { job->event.set(); };
    const auto deadline =
        home.at(std::min(context.deadline, std::chrono::steady_clock::now() + timeout_), wake);
    CancelSource::Subscription cancelled;
    if (context.cancel != nullptr) cancelled = context.cancel->on_cancel(wake);
    co_await job->event.wait();
    if (!job->done) {
      job->limit.end();
      if (context.cancel != nullptr && context.cancel->cancelled())
        co_return fail(Errc::kCancelled, "the caller went away");
      co_return fail(Errc::kTimeout, "the embedding model took too long");
    }
    if (!job->made) co_return std::unexpected(std::move(job->made.error()));
    std::vector<Embedded> out;
    out.reserve(job->made->size());
    for (std::vector<float>& vector : *job->made)
      out.push_back({std::make_shared<const std::vector<float>>(std::move(vector)), &traits_});
    co_return out;
  }

 private:
  struct Job {
    Job(net::Loop& loop, std::shared_ptr<const onnx::Runtime> runtime,
        std::vector<std::string> given)
        : home(loop), texts(std::move(given)), limit(std::move(runtime)), event(loop) {}
    net::Loop& home;
    std::vector<std::string> texts;
    RunLimit limit;
    Result<std::vector<std::vector<float>>> made;
    net::Event event;  // the loop's alone, as `done`
    bool done = false;
  };

  void work(Job& job) {
    if (job.limit.ended()) return;
    try {
      job.made = model_->embed(job.texts, traits_.width, job.limit);
    } catch (const std::exception& error) {
      job.made = fail(Errc::kInternal, fmt::format("embedding failed: {}", error.what()));
    }
  }

  const std::unique_ptr<const Model> model_;
  const EmbedderTraits traits_;
  const std::chrono::milliseconds timeout_;
  const std::size_t max_waiting_;
  std::atomic<std::size_t> waiting_{0};
  boost::asio::thread_pool threads_;  // last: joined before what its work uses goes
};

}  // namespace

Result<std::unique_ptr<TextEmbedder>> make_onnx_embedder(OnnxEmbedderOptions options) {
  options.max_tokens = std::clamp<std::size_t>(options.max_tokens, 2, 8'192);
  options.batch = std::max<std::size_t>(options.batch, 1);
  const auto model_digest = digest_of(options.model);
  if (!model_digest) return in_field("model", model_digest.error());
  if (options.tokenizer.empty()) {
    auto found = tokenizer_beside(options.model);
    if (!found) return in_field("tokenizer", std::move(found.error()));
    options.tokenizer = *std::move(found);
  }
  const auto text = read_text(options.tokenizer);
  if (!text) return in_field("tokenizer", text.error());
  const std::size_t begin = text->find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  const bool is_json =
      begin != std::string::npos && (*text)[begin] == '{' && options.tokenizer.ends_with(".json");
  auto tokens =
      is_json ? onnx::WordPiece::from_json(*text) : onnx::WordPiece::from_vocabulary(*text);
  if (!tokens) return in_field("tokenizer", std::move(tokens.error()));
  if (options.runtime.empty()) options.runtime = runtime_of_program();
  auto runtime = onnx::Runtime::open(options.runtime);
  if (!runtime) return in_field("runtime", std::move(runtime.error()));
  auto session = Session::open(*runtime, options.model);
  if (!session) return in_field("model", std::move(session.error()));
  auto wiring = wire(**session, options.pooling);
  if (!wiring) return in_field("model", std::move(wiring.error()));
  const Digest256 digest = sha256(
      fmt::format("{}\n{}\n{}\n{}\n{}", asahi::to_hex(*model_digest), asahi::to_hex(sha256(*text)),
                  to_string(options.pooling), options.max_tokens, options.prefix));
  auto model = std::make_unique<Model>(*runtime, *std::move(session), *std::move(wiring),
                                       *std::move(tokens), options);
  // It proves itself: a wrong vocabulary or a damaged file shows now.
  RunLimit limit(*runtime);
  const std::vector<std::string> probe{"probe"};
  const auto proof = model->embed(probe, 0, limit);
  if (!proof) return in_field("model", proof.error());
  const std::size_t width = proof->front().size();
  if (options.width != 0 && options.width != width) {
    return fail_field("dimension", fmt::format("the model's vectors have {} numbers, not {}; leave "
                                               "it 0 to take what the model has",
                                               width, options.width));
  }
  EmbedderTraits traits{
      fmt::format("onnx/{}-{}/{}", fs::path(options.model).stem().string().substr(0, 60),
                  asahi::to_hex(digest).substr(0, 16), width),
      width, 1};
  return std::make_unique<OnnxEmbedder>(std::move(model), std::move(traits), options);
}

}  // namespace asahi::llm
