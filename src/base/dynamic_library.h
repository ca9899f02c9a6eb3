#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/result.h"

namespace asahi {

/// A shared library that is loaded when it is first needed, not with the program: what few
/// installations use costs the others no memory and may be missing there. Stays loaded.
/// Thread-safe. A static object.
class DynamicLibrary {
 public:
  /// `soname`: "libpq.so.5". `needed_for` and `package` (Debian) are said where it is missing;
  /// `youngest`: the youngest of the functions that are used, as an older library is as good as
  /// none.
  constexpr DynamicLibrary(const char* soname, const char* needed_for, const char* package,
                           const char* youngest)
      : soname_(soname), needed_for_(needed_for), package_(package), youngest_(youngest) {}

  /// Errors: unavailable, naming library and package.
  Result<void> load();
  /// The same with the file at `path` in place of a search for the name. Whoever loads first
  /// decides which file it is.
  Result<void> load_from(const std::string& path);
  /// Where `name` is. Before `load` has succeeded: ends the program, saying so.
  void* symbol(const char* name);

 private:
  void* handle(const char* file);
  Result<void> loaded(const char* file);

  const char* soname_;
  const char* needed_for_;
  const char* package_;
  const char* youngest_;
  std::once_flag once_;
  void* handle_ = nullptr;
};

template <class Function>
class DynamicFunction;

/// A function of such a library, looked up at the first call and called like the function itself.
template <class Value, class... Arguments>
class DynamicFunction<Value(Arguments...)> {
 public:
  constexpr DynamicFunction(DynamicLibrary& library, const char* name)
      : library_(library), name_(name) {}

  Value operator()(Arguments... arguments) const {
    auto* function = function_.load(std::memory_order_relaxed);
    if (function == nullptr) {
      function = reinterpret_cast<Value (*)(Arguments...)>(library_.symbol(name_));
      function_.store(function, std::memory_order_relaxed);
    }
    return function(arguments...);
  }

 private:
  DynamicLibrary& library_;
  const char* name_;
  mutable std::atomic<Value (*)(Arguments...)> function_{nullptr};
};
template <class Value, class... Arguments>
class DynamicFunction<Value(Arguments...) noexcept> : public DynamicFunction<Value(Arguments...)> {
  using DynamicFunction<Value(Arguments...)>::DynamicFunction;
};

/// Within a namespace: hides the function `name` that the library's header declares, so that calls
/// read as with the library linked.
#define ASAHI_DYNAMIC_FUNCTION(library, name) \
  inline constinit const ::asahi::DynamicFunction<decltype(::name)> name { library, #name }

}  // namespace asahi
