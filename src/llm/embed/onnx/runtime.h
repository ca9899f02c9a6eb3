#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace asahi::llm::onnx {

/// ONNX Runtime, opened while the program runs: a shared library of 46 MB that only who has a model
/// file needs. Stays open. Its C interface is a table of functions to which only ends are added, so
/// the places used here (runtime.cc) hold for every version since 1.0.
class Runtime {
 public:
  /// `path` of libonnxruntime.so.1. Errors: unavailable, when it cannot be opened or is no such
  /// library.
  static Result<std::shared_ptr<const Runtime>> open(const std::string& path);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const std::string& version() const { return version_; }

 private:
  friend class Session;
  friend class RunLimit;
  Runtime() = default;
  template <class Function>
  Function* at(std::size_t slot) const {
    return reinterpret_cast<Function*>(table_[slot]);
  }
  Result<void> check(void* status, std::string_view doing) const;

  void* const* table_ = nullptr;
  void* environment_ = nullptr;
  std::string version_;
};

/// Ends a run that takes too long, from any thread.
class RunLimit {
 public:
  explicit RunLimit(std::shared_ptr<const Runtime> runtime) : runtime_(std::move(runtime)) {}
  ~RunLimit();
  RunLimit(const RunLimit&) = delete;
  RunLimit& operator=(const RunLimit&) = delete;

  /// A run under way fails soon; one that has not begun does not.
  void end();
  bool ended() const { return ended_.load(); }

 private:
  friend class Session;
  void* begin();
  const std::shared_ptr<const Runtime> runtime_;
  std::mutex mutex_;
  void* options_ = nullptr;
  std::atomic<bool> ended_{false};
};

/// A model of token ids: what it takes and gives, and runs of it. Thread-safe; a run works on the
/// calling thread.
class Session {
 public:
  enum class Element : std::int32_t { kFloat = 1, kInt64 = 7 };  // as ONNX numbers them
  struct Port {
    std::string name;
    std::int32_t element = 0;
    std::vector<std::int64_t> shape;  ///< -1: any
  };
  /// Errors: invalid_argument for a file that is no model of this kind, with what the library says.
  static Result<std::unique_ptr<Session>> open(std::shared_ptr<const Runtime> runtime,
                                               const std::string& file);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }

  struct Input {
    std::string name;
    std::span<const std::int64_t> values;  ///< row by row
  };
  struct Output {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  /// All inputs are tables of `rows` × `columns`. Errors: cancelled after `limit.end()`; upstream
  /// for what the library says, and for an output that holds no floats or more than
  /// kMaxOutput of them.
  static constexpr std::size_t kMaxOutput = 64U << 20;
  Result<Output> run(std::span<const Input> inputs, std::size_t rows, std::size_t columns,
                     const std::string& output, RunLimit& limit) const;

 private:
  explicit Session(std::shared_ptr<const Runtime> runtime) : runtime_(std::move(runtime)) {}
  enum class Side { kInput, kOutput };
  Result<std::vector<Port>> ports(Side side) const;
  Result<Output> take(void* value) const;

  const std::shared_ptr<const Runtime> runtime_;
  void* session_ = nullptr;
  void* memory_ = nullptr;
  std::vector<Port> inputs_, outputs_;
};

}  // namespace asahi::llm::onnx
