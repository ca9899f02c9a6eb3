#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "memory/model/reach.h"

namespace asahi::memory::knowledge {

/// Reads a question's arguments, of a body, a tool's call or an address: there numbers come as
/// text. Each is read with its rule; `done` tells of the first one that breaks its own, and of
/// names that nobody asked for.
class Arguments {
 public:
  explicit Arguments(const json::object& given) : given_(given) {}

  bool has(std::string_view name);
  /// 1 to `most` bytes without NUL; `fallback` where it is not given.
  std::string text(std::string_view name, std::string_view fallback = {}, std::size_t most = 200);
  /// The same, and it must be given.
  std::string required(std::string_view name, std::size_t most = 200);
  std::string one_of(std::string_view name, std::string_view fallback,
                     std::initializer_list<std::string_view> words);
  std::int64_t whole(std::string_view name, std::int64_t fallback, std::int64_t least,
                     std::int64_t most);
  std::optional<double> number(std::string_view name, double least, double most);
  /// ISO 8601, UTC without an offset.
  std::optional<Clock::Time> time(std::string_view name);
  /// An object as its text, at most so many bytes.
  std::optional<std::string> object(std::string_view name, std::size_t most);

  /// "type:key"; what it is not is told under this name.
  std::string entity(std::string_view name);
  /// Empty: not given.
  std::string system(std::string_view name = "system_id");
  /// The same; one beyond reach is refused (forbidden).
  std::string system_within(const Reach& reach, std::string_view name = "system_id");
  /// Lower-cased: 1 to 100 of [A-Za-z0-9_:-].
  std::string metric();

  void fault(std::string_view name, std::string rule);
  Result<void> done();

 private:
  const json::value* find(std::string_view name);
  const json::object& given_;
  std::vector<std::string> asked_;
  std::optional<Error> fault_;
};

}  // namespace asahi::memory::knowledge
