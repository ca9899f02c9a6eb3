#include "gateway/cache/semantic/question.h"

#include <cstring>
#include <string>

#include "base/hash.h"
#include "base/json_out.h"

namespace asahi::gateway::semantic {

std::optional<std::uint64_t> context_of(std::string_view shape, std::string_view canonical,
                                        std::string_view query) {
  std::string quoted;
  quoted.reserve(query.size() + 16);
  append_json_string(quoted, query);
  const std::size_t at = canonical.find(quoted);
  if (at == std::string_view::npos || (at > 0 && canonical[at - 1] == '\\')) return std::nullopt;
  const std::string_view rest = canonical.substr(at + quoted.size());
  if (rest.find(quoted) != std::string_view::npos) return std::nullopt;
  const Digest128 digest = keyed_digest(Digest128{}, {shape, canonical.substr(0, at), rest});
  std::uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

}  // namespace asahi::gateway::semantic
