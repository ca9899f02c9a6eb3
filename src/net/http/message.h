#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"

namespace asahi::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };
std::string_view to_string(Method method);

/// Header fields in order of arrival. Names compare without case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  /// First value, or an empty view when the field is absent.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  void add(std::string name, std::string value) {
    constexpr std::size_t kUsual = 8;
    if (fields_.capacity() == 0) fields_.reserve(kUsual);
    fields_.emplace_back(std::move(name), std::move(value));
  }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  void clear() { fields_.clear(); }
  std::size_t size() const { return fields_.size(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

/// A complete request as a server sees it: body read, limits checked, target split and
/// percent-decoded.
struct Request {
  Method method = Method::kGet;
  std::string method_name;  ///< as sent; set only when `method` is kOther
  std::string target;       ///< as sent
  std::string path;         ///< decoded, without query
  std::string query;        ///< raw, without '?'
  Headers headers;
  std::string body;
  std::string remote_address;  ///< peer's IP, textual
  bool tls = false;

  /// Decoded value of a query parameter; empty optional when absent.
  std::optional<std::string> query_param(std::string_view name) const;
};

/// Takes the pieces of a streamed response body. Valid while the stream function runs.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  /// Sends `bytes` as they are now; resumes when the kernel took them (back-pressure).
  /// Errors: cancelled when the client went away.
  virtual Task<void> write(std::string bytes) = 0;
};

/// Produces a streamed body. An error ends the connection without the closing chunk, so that a cut
/// body never looks whole.
using BodyStream = std::move_only_function<Task<void>(BodyWriter&)>;

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  /// Shared bytes sent instead of `body` when set: cached answers are not copied.
  std::shared_ptr<const std::string> shared_body;
  /// Sent chunked instead of `body` when set.
  BodyStream stream;

  static Response json(int status, std::string body);
  static Response text(int status, std::string body,
                       std::string content_type = "text/plain; charset=utf-8");
};

/// "%41b+c" -> "Ab c" (plus as space only when `plus_is_space`).
/// Errors: invalid_argument for a broken escape or an encoded NUL.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
std::string percent_encode(std::string_view text);

}  // namespace asahi::http
