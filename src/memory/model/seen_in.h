#pragma once

#include <string>
#include <string_view>

namespace asahi::memory {

/// A memory's metadata with `list` (a JSON array, as text) as its member `seen_in`: the keys that
/// said the same. One that stands there already (the memory was in a colder tier) keeps its place,
/// the new ones behind it, each once. What is no object stays as it is.
std::string with_seen_in(std::string metadata, std::string_view list);

}  // namespace asahi::memory
