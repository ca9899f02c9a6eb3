#include "base/exception_text.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>
#include <utility>

namespace asahi {
namespace {

std::string readable(const char* mangled) {
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  int status = 0;
  const std::unique_ptr<char, Free> name(abi::__cxa_demangle(mangled, nullptr, nullptr, &status));
  return status == 0 && name != nullptr ? std::string(name.get()) : std::string(mangled);
}

}  // namespace

std::string exception_text(const std::exception_ptr& error) {
  std::string text;
  std::exception_ptr next = error;
  constexpr int kMost = 8;
  for (int depth = 0; next != nullptr && depth < kMost; ++depth) {
    if (depth > 0) text += kBecauseOf;
    const std::exception_ptr current = std::exchange(next, nullptr);
    try {
      std::rethrow_exception(current);
    } catch (const std::exception& e) {
      // Who nests derives from the exception's type: its name tells more than the wrapper's.
      text += dynamic_cast<const std::nested_exception*>(&e) == nullptr
                  ? readable(typeid(e).name()) + ": " + e.what()
                  : std::string(e.what());
      if (const auto* nested = dynamic_cast<const std::nested_exception*>(&e))
        next = nested->nested_ptr();
    } catch (...) {
      const std::type_info* type = abi::__cxa_current_exception_type();
      text += type != nullptr ? readable(type->name()) : std::string("an unknown exception");
    }
  }
  return text;
}

}  // namespace asahi
