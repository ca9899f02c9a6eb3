#include "base/dynamic_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace asahi {

void* DynamicLibrary::handle(const char* file) {
  std::call_once(once_, [this, file] { handle_ = ::dlopen(file, RTLD_NOW | RTLD_LOCAL); });
  return handle_;
}

Result<void> DynamicLibrary::load() { return loaded(soname_); }

Result<void> DynamicLibrary::load_from(const std::string& path) { return loaded(path.c_str()); }

Result<void> DynamicLibrary::loaded(const char* file) {
  if (handle(file) == nullptr || ::dlsym(handle_, youngest_) == nullptr) {
    return fail(Errc::kUnavailable, fmt::format("{} needs {} with {}; install {} (Debian)",
                                                needed_for_, soname_, youngest_, package_));
  }
  return {};
}

void* DynamicLibrary::symbol(const char* name) {
  void* const found = handle(soname_) == nullptr ? nullptr : ::dlsym(handle_, name);
  if (found == nullptr) {
    std::fprintf(stderr, "asahi: %s of %s was called before the library was found\n", name,
                 soname_);
    std::abort();
  }
  return found;
}

}  // namespace asahi
