#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/money.h"
#include "base/result.h"

namespace asahi::gateway {

/// Reads the fields of a governance document. The first fault is kept, with the field's path, its
/// value and the rule; later calls then do nothing. A field that is absent leaves its target alone;
/// null empties it where the target can be empty.
class JsonReader {
 public:
  /// `path` is put before field names ("per_user."); `value` must be an object.
  JsonReader(const json::value& value, std::string path = {});

  /// Every name that may stand there; others are faults.
  void only(std::initializer_list<std::string_view> names);

  void text(std::string_view name, std::string& target, std::size_t most);
  /// One of `words`; null and "" empty it.
  void word(std::string_view name, std::string& target,
            std::initializer_list<std::string_view> words);
  void flag(std::string_view name, bool& target);
  void integer(std::string_view name, int& target, std::int64_t least, std::int64_t most);
  void integer(std::string_view name, std::optional<std::int64_t>& target, std::int64_t least,
               std::int64_t most);
  void number(std::string_view name, double& target, double least, double most);
  void dollars(std::string_view name, std::optional<NanoUsd>& target, double most);
  void texts(std::string_view name, std::vector<std::string>& target, std::size_t most,
             std::size_t most_bytes);
  void time(std::string_view name, std::optional<Clock::Time>& target);

  const json::value* find(std::string_view name) const;
  void fault(std::string_view name, std::string message);
  /// Takes over the fault of a nested reader.
  void merge(const JsonReader& nested);
  Result<void> result() const;

 private:
  const json::value* given(std::string_view name) const;

  const json::object* object_ = nullptr;
  std::string path_;
  std::optional<Error> error_;
};

/// A value as a message shows it: JSON, cut to 60 characters.
std::string shown(const json::value& value);

}  // namespace asahi::gateway
