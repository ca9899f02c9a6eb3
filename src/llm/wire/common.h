#pragma once

#include <chrono>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/json_out.h"
#include "base/result.h"
#include "llm/message.h"
#include "net/http/message.h"

/// What the wire formats share: reading JSON fields, usage, vendor errors.
namespace asahi::llm::wire {

/// ---- Reading answers of vendors: lenient, a field of the wrong type counts as absent

/// Null when the field is absent or JSON null.
const json::value* find(const json::object& object, std::string_view key);
std::string_view string_at(const json::object& object, std::string_view key,
                           std::string_view fallback = {});
/// Any JSON number, rounded towards zero and held to the range of int64.
std::int64_t int_at(const json::object& object, std::string_view key, std::int64_t fallback = 0);
bool bool_at(const json::object& object, std::string_view key, bool fallback = false);
const json::object* object_at(const json::object& object, std::string_view key);
const json::array* array_at(const json::object& object, std::string_view key);

/// ---- Reading requests of clients: strict, the first broken rule is reported

/// Whose words an error uses, so that people find them in the vendor's documentation.
enum class Wording { kOpenAi, kAnthropic };

/// Where a value sits in a request. A chain on the stack, rendered only when a rule is broken.
struct Path {
  const Path* parent = nullptr;
  std::string_view key;  ///< empty: `index` counts
  std::size_t index = 0;

  Path field(std::string_view name) const { return Path{this, name, 0}; }
  Path element(std::size_t i) const { return Path{this, {}, i}; }
  /// "messages[0].content"
  std::string brackets() const;
  /// "messages.0.content", as Anthropic writes it
  std::string dots() const;
};

/// Collects the first broken rule of a request. Later ones are dropped: SDKs show one message.
class Check {
 public:
  explicit Check(Wording wording) : wording_(wording) {}

  bool ok() const { return !error_; }
  Wording wording() const { return wording_; }
  std::unexpected<Error> failure() { return std::unexpected(std::move(*error_)); }

  /// `expected`: "a string", "an array of objects".
  void wrong_type(const Path& path, std::string_view expected, const json::value& got);
  void missing(const Path& path);
  void unknown(const Path& path);
  void not_one_of(const Path& path, std::string_view got,
                  std::span<const std::string_view> allowed);
  void out_of_range(const Path& path, double low, double high, double got, bool integer);
  /// A rule in free words. `reason` becomes OpenAI's `code`.
  void rule(const Path& path, std::string text, std::string_view reason = "invalid_value");

 private:
  void add(const Path& path, std::string message, std::string_view reason);

  Wording wording_;
  std::optional<Error> error_;
};

/// Typed fields of one object of a request. Absent and null are an empty result; a wrong type is
/// reported to the Check and is an empty result too. Views live as long as the document.
class FieldReader {
 public:
  FieldReader(const json::object& object, const Path& path, Check& check)
      : object_(object), keys_(object), path_(path), check_(check) {}

  std::optional<std::string_view> string(std::string_view key) const;
  std::optional<std::int64_t> integer(
      std::string_view key, std::int64_t low = std::numeric_limits<std::int64_t>::min(),
      std::int64_t high = std::numeric_limits<std::int64_t>::max()) const;
  std::optional<double> number(std::string_view key, double low, double high) const;
  std::optional<bool> boolean(std::string_view key) const;
  const json::object* object(std::string_view key) const;
  const json::array* array(std::string_view key) const;
  const json::value* any(std::string_view key) const {
    return keys_.may_contain(key) ? find(object_, key) : nullptr;
  }
  std::optional<std::string_view> one_of(std::string_view key,
                                         std::span<const std::string_view> allowed) const;

  /// The same; absence is reported too.
  std::string_view need_string(std::string_view key) const;
  const json::object* need_object(std::string_view key) const;
  const json::array* need_array(std::string_view key) const;
  std::string_view need_one_of(std::string_view key,
                               std::span<const std::string_view> allowed) const;

  /// Reports the first field that is not in `allowed` (sorted).
  void allow_only(std::span<const std::string_view> allowed) const;

  Path path(std::string_view key) const { return path_.field(key); }
  const json::object& raw() const { return object_; }
  Check& check() const { return check_; }

 private:
  const json::object& object_;
  JsonKeys keys_;
  Path path_;
  Check& check_;
};

/// Fields of the gateway's own that clients may add to any request shape; vendors never see them.
/// Sorted.
std::span<const std::string_view> gateway_fields();
bool is_gateway_field(std::string_view key);

/// invalid_argument when the request asks for something that only vendors of its own shape can do.
Result<void> refuse_vendor_only(const ChatRequest& request, Shape vendor);

/// ---- Tool arguments, images

/// A JSON text as an object: "{}" for blank text, and {"arguments": text} for what is not a JSON
/// object, because Anthropic and Google take tool arguments as objects only.
std::string arguments_object(std::string_view text);

/// True for encrypted thinking of OpenAI's: a Fernet token, whose version and high time bytes are
/// always these. Every vendor answers 400 to what another one has sealed.
bool is_openai_seal(std::string_view encrypted);

/// ---- Images

/// "data:image/png;base64,AAAA" into media type and data, anything else into `url`.
ImagePart image_from_url(std::string_view url);
/// The URL, or a data: URL of the bytes.
std::string image_url(const ImagePart& image);
/// Splits "data:TYPE;base64,DATA". Empty when `url` is no base64 data: URL.
struct DataUrl {
  std::string_view media_type, data;
};
std::optional<DataUrl> parse_data_url(std::string_view url);

/// ---- Usage

/// OpenAI's `usage` object of chat completions, completions, responses and embeddings, with the
/// variants of OpenAI-shaped vendors: DeepSeek's prompt_cache_hit_tokens, xAI's reasoning tokens
/// beside the completion tokens, top-level cached_tokens and reasoning_tokens.
Usage read_openai_usage(const json::object& usage);
/// {"prompt_tokens":…,"completion_tokens":…,"total_tokens":…, details}
void write_openai_usage(JsonOut& out, const Usage& usage);

/// Anthropic's counts as they stand in its messages. In a stream they are cumulative and come in
/// several events: a later value replaces an earlier one, field by field.
struct AnthropicUsage {
  std::int64_t input = 0, cache_read = 0, cache_creation = 0, output = 0;
  std::int64_t cache_5m = 0, cache_1h = 0;
  std::int64_t thinking = 0;  ///< part of `output`
  bool seen = false;

  void update(const json::object& usage);
  Usage normalised() const;
};
void write_anthropic_usage(JsonOut& out, const Usage& usage);

/// ---- Errors of vendors

/// `message` fit to be shown: at most 300 characters, control characters and anything that looks
/// like a credential taken out.
std::string safe_message(std::string_view message);
/// Retry-After in seconds or as a date (measured from the answer's Date), or retry-after-ms.
std::optional<std::chrono::milliseconds> retry_after(const http::Headers& headers);
/// A non-2xx answer as `VendorCodec::decode_error` types it. `message`: the vendor's own words, may
/// be empty. `code`: the vendor's own error code, which becomes the reason of an invalid_argument.
Error vendor_error(int status, const http::Headers& headers, std::string_view message,
                   std::string_view code = {});
/// An error object without a status (inside a stream or a 200), typed by its type or code:
/// "overloaded_error", "rate_limit_exceeded", 429 …; unknown ones are upstream errors.
Error vendor_error_of_type(std::string_view type, std::string_view message,
                           std::string_view code = {});
/// The stream ended before the vendor's end mark.
std::unexpected<Error> stream_cut(std::string_view vendor);
/// An answer that cannot be read. `what` says what is wrong with it.
std::unexpected<Error> garbage(std::string_view vendor, std::string_view what);

}  // namespace asahi::llm::wire
