#include "llm/embed/onnx/runtime.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/utf8.h"

// ONNX Runtime's C header comes with no package that is at hand, so what is used of its table
// `OrtApi` is declared here: which place holds which function. The table is append-only by its
// makers' promise ("the members of OrtApi are never removed or reordered"; those of version 1 end
// with place 101), and runtime_test.cc calls each place in the real library.
namespace asahi::llm::onnx {
namespace {

using Opaque = void*;  // OrtStatus, OrtEnv, OrtSession … : never looked into
using Status = void*;  // null: fine; else to be released

enum Slot : std::size_t {
  kGetErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSession = 7,
  kRun = 9,
  kCreateSessionOptions = 10,
  kDisableMemPattern = 17,
  kDisableCpuMemArena = 19,
  kSetSessionGraphOptimizationLevel = 23,
  kSetIntraOpNumThreads = 24,
  kSetInterOpNumThreads = 25,
  kSessionGetInputCount = 30,
  kSessionGetOutputCount = 31,
  kSessionGetInputTypeInfo = 33,
  kSessionGetOutputTypeInfo = 34,
  kSessionGetInputName = 36,
  kSessionGetOutputName = 37,
  kCreateRunOptions = 39,
  kRunOptionsSetTerminate = 46,
  kCreateTensorWithDataAsOrtValue = 49,
  kGetTensorMutableData = 51,
  kCastTypeInfoToTensorInfo = 55,
  kGetTensorElementType = 60,
  kGetDimensionsCount = 61,
  kGetDimensions = 62,
  kGetTensorTypeAndShape = 65,
  kCreateCpuMemoryInfo = 69,
  kAllocatorFree = 76,
  kGetAllocatorWithDefaultOptions = 78,
  kReleaseEnv = 92,
  kReleaseStatus = 93,
  kReleaseMemoryInfo = 94,
  kReleaseSession = 95,
  kReleaseValue = 96,
  kReleaseRunOptions = 97,
  kReleaseTypeInfo = 98,
  kReleaseTensorTypeAndShapeInfo = 99,
  kReleaseSessionOptions = 100,
};

using Release = void(Opaque);
using Make = Status(Opaque*);
using Set = Status(Opaque);
using SetNumber = Status(Opaque, int);
using Count = Status(Opaque, std::size_t*);
using TypeAt = Status(Opaque, std::size_t, Opaque*);
using NameAt = Status(Opaque, std::size_t, Opaque allocator, char**);

/// OrtApiBase: fixed since the first version.
struct ApiBase {
  void* const* (*table)(std::uint32_t version);
  const char* (*version)();
};

constexpr std::uint32_t kApiVersion = 1;
constexpr int kLogFatal = 4;  // errors are told as values
constexpr int kAllOptimisations = 99;
constexpr int kArenaAllocator = 1, kDefaultMemory = 0;

/// Released at the end of the block.
class Owned {
 public:
  explicit Owned(Release* release) : release_(release) {}
  ~Owned() {
    if (object_ != nullptr) release_(object_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Opaque* out() { return &object_; }
  Opaque get() const { return object_; }

 private:
  Release* release_;
  Opaque object_ = nullptr;
};

}  // namespace

Result<std::shared_ptr<const Runtime>> Runtime::open(const std::string& path) {
  // One environment per library and process, as it wants.
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const Runtime>> opened;
  const std::scoped_lock lock(mutex);
  if (auto known = opened[path].lock()) return known;
  // Never closed: its threads and destructors outlive whoever used it.
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const why = ::dlerror();
    return fail(Errc::kUnavailable, fmt::format("ONNX Runtime cannot be opened: {}; install npm's "
                                                "onnxruntime-node and name its libonnxruntime.so.1",
                                                why == nullptr ? path : std::string(why)));
  }
  const auto base = reinterpret_cast<const ApiBase* (*)()>(::dlsym(library, "OrtGetApiBase"));
  void* const* const table = base == nullptr ? nullptr : base()->table(kApiVersion);
  if (table == nullptr) {
    return fail(Errc::kUnavailable,
                fmt::format("{} is no ONNX Runtime of version 1.0 or later", path));
  }
  std::shared_ptr<Runtime> made(new Runtime);
  made->table_ = table;
  made->version_ = base()->version();
  const auto create = made->at<Status(int, const char*, Opaque*)>(kCreateEnv);
  if (auto done = made->check(create(kLogFatal, "asahi", &made->environment_), "start"); !done)
    return std::unexpected(std::move(done.error()));
  opened[path] = made;
  return made;
}

Runtime::~Runtime() {
  if (environment_ != nullptr) at<Release>(kReleaseEnv)(environment_);
}

Result<void> Runtime::check(void* status, std::string_view doing) const {
  if (status == nullptr) return {};
  const std::string text = mended_utf8(at<const char*(Status)>(kGetErrorMessage)(status), 500);
  at<Release>(kReleaseStatus)(status);
  return fail(Errc::kUpstream, fmt::format("ONNX Runtime cannot {}: {}", doing, text));
}

// ---- a run's end

RunLimit::~RunLimit() {
  if (options_ != nullptr) runtime_->at<Release>(kReleaseRunOptions)(options_);
}

void RunLimit::end() {
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  if (options_ == nullptr) return;
  (void)runtime_->check(runtime_->at<Set>(kRunOptionsSetTerminate)(options_), "end a run");
}

/// Null: it has ended before.
void* RunLimit::begin() {
  const std::scoped_lock lock(mutex_);
  if (ended_) return nullptr;
  if (options_ == nullptr)
    (void)runtime_->check(runtime_->at<Make>(kCreateRunOptions)(&options_), "prepare a run");
  return options_;
}

// ---- a model

Result<std::unique_ptr<Session>> Session::open(std::shared_ptr<const Runtime> runtime,
                                               const std::string& file) {
  std::unique_ptr<Session> made(new Session(std::move(runtime)));
  const Runtime& api = *made->runtime_;
  Owned options(api.at<Release>(kReleaseSessionOptions));
  const auto refuse = [&](Error error) {
    error.code = Errc::kInvalidArgument;
    return std::unexpected(std::move(error));
  };
  if (auto done = api.check(api.at<Make>(kCreateSessionOptions)(options.out()), "prepare"); !done)
    return refuse(std::move(done.error()));
  // One thread per run (the caller's), and memory that goes back after it: texts differ in length.
  for (const auto& [slot, value] :
       {std::pair{kSetIntraOpNumThreads, 1}, std::pair{kSetInterOpNumThreads, 1},
        std::pair{kSetSessionGraphOptimizationLevel, kAllOptimisations}}) {
    if (auto done = api.check(api.at<SetNumber>(slot)(options.get(), value), "prepare"); !done)
      return refuse(std::move(done.error()));
  }
  for (const Slot slot : {kDisableMemPattern, kDisableCpuMemArena}) {
    if (auto done = api.check(api.at<Set>(slot)(options.get()), "prepare"); !done)
      return refuse(std::move(done.error()));
  }
  const auto create = api.at<Status(Opaque, const char*, Opaque, Opaque*)>(kCreateSession);
  if (auto done = api.check(create(api.environment_, file.c_str(), options.get(), &made->session_),
                            "read the model");
      !done)
    return refuse(std::move(done.error()));
  if (auto done = api.check(api.at<Status(int, int, Opaque*)>(kCreateCpuMemoryInfo)(
                                kArenaAllocator, kDefaultMemory, &made->memory_),
                            "prepare");
      !done)
    return refuse(std::move(done.error()));
  for (const auto& [side, into] :
       {std::pair{Side::kInput, &made->inputs_}, std::pair{Side::kOutput, &made->outputs_}}) {
    auto found = made->ports(side);
    if (!found) return refuse(std::move(found.error()));
    *into = *std::move(found);
  }
  return made;
}

Session::~Session() {
  if (memory_ != nullptr) runtime_->at<Release>(kReleaseMemoryInfo)(memory_);
  if (session_ != nullptr) runtime_->at<Release>(kReleaseSession)(session_);
}

Result<std::vector<Session::Port>> Session::ports(Side side) const {
  const Runtime& api = *runtime_;
  const bool input = side == Side::kInput;
  constexpr std::string_view kDoing = "describe the model";
  std::size_t count = 0;
  if (auto done = api.check(
          api.at<Count>(input ? kSessionGetInputCount : kSessionGetOutputCount)(session_, &count),
          kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  Opaque allocator = nullptr;  // the library's own
  if (auto done = api.check(api.at<Make>(kGetAllocatorWithDefaultOptions)(&allocator), kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  std::vector<Port> out;
  for (std::size_t i = 0; i < count; ++i) {
    Port port;
    char* name = nullptr;
    if (auto done = api.check(api.at<NameAt>(input ? kSessionGetInputName : kSessionGetOutputName)(
                                  session_, i, allocator, &name),
                              kDoing);
        !done)
      return std::unexpected(std::move(done.error()));
    port.name = name;
    (void)api.check(api.at<Status(Opaque, void*)>(kAllocatorFree)(allocator, name), kDoing);
    Owned type(api.at<Release>(kReleaseTypeInfo));
    if (auto done =
            api.check(api.at<TypeAt>(input ? kSessionGetInputTypeInfo : kSessionGetOutputTypeInfo)(
                          session_, i, type.out()),
                      kDoing);
        !done)
      return std::unexpected(std::move(done.error()));
    Opaque tensor = nullptr;  // part of `type`; null: no tensor
    if (auto done = api.check(
            api.at<Status(Opaque, Opaque*)>(kCastTypeInfoToTensorInfo)(type.get(), &tensor),
            kDoing);
        !done)
      return std::unexpected(std::move(done.error()));
    if (tensor != nullptr) {
      std::size_t dimensions = 0;
      (void)api.check(
          api.at<Status(Opaque, std::int32_t*)>(kGetTensorElementType)(tensor, &port.element),
          kDoing);
      (void)api.check(api.at<Count>(kGetDimensionsCount)(tensor, &dimensions), kDoing);
      port.shape.resize(dimensions);
      (void)api.check(api.at<Status(Opaque, std::int64_t*, std::size_t)>(kGetDimensions)(
                          tensor, port.shape.data(), dimensions),
                      kDoing);
    }
    out.push_back(std::move(port));
  }
  return out;
}

Result<Session::Output> Session::take(void* value) const {
  const Runtime& api = *runtime_;
  constexpr std::string_view kDoing = "give its result";
  Owned info(api.at<Release>(kReleaseTensorTypeAndShapeInfo));
  if (auto done = api.check(
          api.at<Status(Opaque, Opaque*)>(kGetTensorTypeAndShape)(value, info.out()), kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  std::int32_t element = 0;
  std::size_t dimensions = 0;
  if (auto done = api.check(
          api.at<Status(Opaque, std::int32_t*)>(kGetTensorElementType)(info.get(), &element),
          kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  if (auto done = api.check(api.at<Count>(kGetDimensionsCount)(info.get(), &dimensions), kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  Output out;
  out.shape.resize(dimensions);
  if (auto done = api.check(api.at<Status(Opaque, std::int64_t*, std::size_t)>(kGetDimensions)(
                                info.get(), out.shape.data(), dimensions),
                            kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  std::size_t numbers = 1;
  for (const std::int64_t dimension : out.shape) {
    const auto size = static_cast<std::size_t>(dimension);
    if (dimension < 0 || (size != 0 && numbers > kMaxOutput / size))
      return fail(Errc::kUpstream, "the model gives more numbers than any embedding has");
    numbers *= size;
  }
  if (element != static_cast<std::int32_t>(Element::kFloat))
    return fail(Errc::kUpstream, "the model gives no 32-bit floating point numbers");
  void* data = nullptr;
  if (auto done =
          api.check(api.at<Status(Opaque, void**)>(kGetTensorMutableData)(value, &data), kDoing);
      !done)
    return std::unexpected(std::move(done.error()));
  const auto* const floats = static_cast<const float*>(data);
  out.values.assign(floats, floats + numbers);
  return out;
}

Result<Session::Output> Session::run(std::span<const Input> inputs, std::size_t rows,
                                     std::size_t columns, const std::string& output,
                                     RunLimit& limit) const {
  const Runtime& api = *runtime_;
  constexpr std::string_view kDoing = "embed";
  const std::int64_t shape[] = {static_cast<std::int64_t>(rows),
                                static_cast<std::int64_t>(columns)};
  std::vector<std::unique_ptr<Owned>> values;
  std::vector<const char*> names;
  std::vector<Opaque> tensors;
  for (const Input& input : inputs) {
    if (input.values.size() != rows * columns)
      return fail(Errc::kInternal, fmt::format("input {} has another size", input.name));
    auto& value = values.emplace_back(std::make_unique<Owned>(api.at<Release>(kReleaseValue)));
    // The library reads them only.
    const auto create = api.at<Status(Opaque, void*, std::size_t, const std::int64_t*, std::size_t,
                                      std::int32_t, Opaque*)>(kCreateTensorWithDataAsOrtValue);
    if (auto done = api.check(create(memory_, const_cast<std::int64_t*>(input.values.data()),
                                     input.values.size_bytes(), shape, 2,
                                     static_cast<std::int32_t>(Element::kInt64), value->out()),
                              kDoing);
        !done)
      return std::unexpected(std::move(done.error()));
    names.push_back(input.name.c_str());
    tensors.push_back(value->get());
  }
  const char* const wanted[] = {output.c_str()};
  Owned result(api.at<Release>(kReleaseValue));
  Opaque const options = limit.begin();
  if (options == nullptr) return fail(Errc::kCancelled, "nobody waits for this any more");
  const auto run = api.at<Status(Opaque, Opaque, const char* const*, const Opaque*, std::size_t,
                                 const char* const*, std::size_t, Opaque*)>(kRun);
  auto done = api.check(
      run(session_, options, names.data(), tensors.data(), tensors.size(), wanted, 1, result.out()),
      kDoing);
  if (!done) {
    if (limit.ended()) done.error().code = Errc::kCancelled;
    return std::unexpected(std::move(done.error()));
  }
  return take(result.get());
}

}  // namespace asahi::llm::onnx
