#include "net/http/request_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

#include "net/http/ascii.h"
#include "net/http/chunk_decoder.h"

namespace asahi::http {

namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using ErrorCode = beast::error_code;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

Method method_of(bhttp::verb verb) {
  switch (verb) {
    case bhttp::verb::get:
      return Method::kGet;
    case bhttp::verb::head:
      return Method::kHead;
    case bhttp::verb::post:
      return Method::kPost;
    case bhttp::verb::put:
      return Method::kPut;
    case bhttp::verb::patch:
      return Method::kPatch;
    case bhttp::verb::delete_:
      return Method::kDelete;
    case bhttp::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

bool is_host(std::string_view host) {
  // reg-name, IP literal and port of RFC 3986, without user information.
  return std::ranges::all_of(host, [](char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~!$&'()*+,;=:[]%").find(c) != std::string_view::npos;
  });
}

bool has_dot_segment(std::string_view path) {
  for (std::size_t at = path.find("/."); at != std::string_view::npos;
       at = path.find("/.", at + 1)) {
    std::string_view segment = path.substr(at + 1);
    segment = segment.substr(0, segment.find('/'));
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

/// Collects a request and checks each part as Beast hands it over.
class Collector final : public bhttp::basic_parser<true> {
 public:
  Collector(Request& request, const RequestParserLimits& limits)
      : request_(request), limits_(limits) {
    header_limit(static_cast<std::uint32_t>(
        std::min<std::size_t>(limits.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
    body_limit(boost::none);
  }

  /// The bytes of the current `put`: a value that lies elsewhere was joined from folded lines.
  void set_input(std::string_view input) { input_ = input; }

  std::optional<RequestFault>& fault() { return fault_; }
  bool line_done() const { return line_done_; }
  bool expects_continue() const { return expects_continue_; }
  bool is_http_1_1() const { return version_ >= 11; }
  std::string_view raw_path() const {
    return std::string_view(request_.target).substr(path_begin_, path_size_);
  }

 private:
  void refuse(int status, std::string reason, std::string message, ErrorCode& error) {
    fault_ = RequestFault{status, std::move(reason), std::move(message)};
    error = bhttp::error::bad_value;
  }

  void on_request_impl(bhttp::verb verb, beast::string_view method, beast::string_view target,
                       int version, ErrorCode& error) override {
    line_done_ = true;
    version_ = version;
    request_.method = method_of(verb);
    if (request_.method == Method::kOther) request_.method_name = view(method);
    request_.target = view(target);
    split_target(error);
  }

  /// Beast joins folded lines in a buffer of its own, or skips the line break in front of the
  /// value.
  bool is_folded(beast::string_view name, beast::string_view value) const {
    const char* const begin = name.data() + name.size();
    if (std::less<>{}(value.data(), begin) ||
        std::less<>{}(input_.data() + input_.size(), value.data()))
      return true;
    return std::find(begin, value.data(), '\n') != value.data();
  }

  void split_target(ErrorCode& error) {
    const std::string_view target = request_.target;
    std::size_t begin = 0;
    if (target == "*") {
      if (request_.method != Method::kOptions) {
        return refuse(400, "bad_request", "the target '*' goes with OPTIONS only", error);
      }
    } else if (!target.starts_with('/')) {
      // absolute-form (RFC 9112 §3.2.2), as proxies send it
      const std::size_t scheme = target.find("://");
      const std::string_view name = target.substr(0, scheme == std::string_view::npos ? 0 : scheme);
      if (!iequals(name, "http") && !iequals(name, "https")) {
        return refuse(400, "bad_request", "the request target must begin with '/'", error);
      }
      begin = target.find_first_of("/?", scheme + 3);
      if (begin == std::string_view::npos || target[begin] == '?') {
        return refuse(400, "bad_request", "the request target has no path", error);
      }
    }
    if (target.find('#') != std::string_view::npos) {
      return refuse(400, "bad_request", "the request target must not have a fragment", error);
    }
    const std::size_t mark = target.find('?', begin);
    path_begin_ = begin;
    path_size_ = (mark == std::string_view::npos ? target.size() : mark) - begin;
    const std::string_view raw = target.substr(begin, path_size_);
    if (mark != std::string_view::npos) request_.query = target.substr(mark + 1);
    if (raw.find('%') == std::string_view::npos) {
      request_.path = raw;
    } else {
      auto decoded = percent_decode(raw);
      if (!decoded) return refuse(400, "bad_request", "path: " + decoded.error().message, error);
      request_.path = *std::move(decoded);
    }
    if (has_dot_segment(request_.path)) {
      return refuse(400, "bad_request", "the path must not contain '.' or '..' parts", error);
    }
  }

  void on_response_impl(int, beast::string_view, int, ErrorCode&) override {}

  void on_field_impl(bhttp::field field, beast::string_view name, beast::string_view value,
                     ErrorCode& error) override {
    if (is_folded(name, value))
      return refuse(400, "bad_request", "folded header fields are not accepted", error);
    if (++fields_ > limits_.max_header_fields) {
      return refuse(431, "header_too_large", "too many header fields", error);
    }
    switch (field) {
      case bhttp::field::host:
        if (std::exchange(has_host_, true))
          return refuse(400, "bad_request", "more than one Host field", error);
        if (!is_host(view(value)))
          return refuse(400, "bad_request", "the Host field is not a host", error);
        break;
      case bhttp::field::content_length:
        if (std::exchange(has_length_, true)) {
          return refuse(400, "bad_request", "more than one Content-Length field", error);
        }
        if (value.empty() ||
            !std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; })) {
          return refuse(400, "bad_request", "Content-Length must be one number", error);
        }
        break;
      case bhttp::field::transfer_encoding:
        has_encoding_ = true;
        if (!iequals(view(value), "chunked")) {
          return refuse(501, "not_implemented",
                        "the only transfer encoding understood here is 'chunked'", error);
        }
        break;
      case bhttp::field::expect:
        if (!iequals(view(value), "100-continue")) {
          return refuse(417, "expectation_failed",
                        "the only expectation understood here is '100-continue'", error);
        }
        expects_continue_ = version_ >= 11;
        break;
      default:
        break;
    }
    request_.headers.add(std::string(view(name)), std::string(view(value)));
  }

  void on_header_impl(ErrorCode& error) override {
    if (!has_host_ && version_ >= 11) {
      return refuse(400, "bad_request", "an HTTP/1.1 request needs a Host field", error);
    }
    if (has_encoding_ && version_ < 11) {
      return refuse(400, "bad_request", "Transfer-Encoding needs HTTP/1.1", error);
    }
  }

  // The body does not go through Beast: see Impl::feed_body.
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode&) override {}
  std::size_t on_body_impl(beast::string_view bytes, ErrorCode&) override { return bytes.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view bytes, ErrorCode&) override {
    return bytes.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  Request& request_;
  const RequestParserLimits& limits_;
  std::string_view input_;
  std::optional<RequestFault> fault_;
  std::size_t fields_ = 0;
  std::size_t path_begin_ = 0;
  std::size_t path_size_ = 0;
  int version_ = 0;
  bool line_done_ = false;
  bool has_host_ = false;
  bool has_length_ = false;
  bool has_encoding_ = false;
  bool expects_continue_ = false;
};

/// "… HTTP/2.0": a version, but none of ours. Everything else on such a line is plainly malformed.
bool names_other_version(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.find("\r\n"));
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view version = line.substr(space + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
         version[6] == '.' && digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0";
}

}  // namespace

struct RequestParser::Impl {
  explicit Impl(RequestParserLimits given) : limits(given) {}

  std::expected<std::size_t, RequestFault> feed_head(std::string_view bytes);
  std::expected<std::size_t, RequestFault> feed_body(std::string_view bytes);
  bool append(std::string_view piece) {
    if (piece.size() > max_body_bytes - request->body.size()) return false;
    request->body += piece;
    return true;
  }
  bool done() const { return collector->is_done() || body_done; }

  RequestParserLimits limits;
  Request* request = nullptr;
  std::optional<Collector> collector;
  std::optional<ChunkDecoder> chunks;
  std::size_t head_bytes = 0;
  std::size_t max_body_bytes = std::numeric_limits<std::size_t>::max();
  bool begun = false;
  bool body_done = false;
};

RequestParser::RequestParser(RequestParserLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;

void RequestParser::start(Request& request) {
  request.method = Method::kGet;
  request.method_name.clear();
  request.target.clear();
  request.path.clear();
  request.query.clear();
  request.headers.clear();
  request.body.clear();
  impl_->request = &request;
  impl_->collector.emplace(request, impl_->limits);
  impl_->chunks.reset();
  impl_->head_bytes = 0;
  impl_->max_body_bytes = std::numeric_limits<std::size_t>::max();
  impl_->begun = false;
  impl_->body_done = false;
}

std::expected<std::size_t, RequestFault> RequestParser::feed(std::string_view bytes) {
  if (impl_->done()) return 0;
  return impl_->collector->is_header_done() ? impl_->feed_body(bytes) : impl_->feed_head(bytes);
}

std::expected<std::size_t, RequestFault> RequestParser::Impl::feed_head(std::string_view bytes) {
  std::size_t skipped = 0;
  if (!begun) {
    // Empty lines before a request are skipped (RFC 9112 §2.2); they count like idle time.
    while (bytes.size() >= skipped + 2 && bytes[skipped] == '\r' && bytes[skipped + 1] == '\n')
      skipped += 2;
    bytes.remove_prefix(skipped);
    if (bytes.empty() || bytes == "\r") return skipped;
    begun = true;
  }
  collector->set_input(bytes);
  ErrorCode error;
  const std::size_t used =
      collector->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  head_bytes += used;
  if (collector->fault()) return std::unexpected(*std::move(collector->fault()));
  // Beast's own limit starts anew behind every field it took; ours is for the whole head.
  const bool more = error == bhttp::error::need_more;
  const std::size_t held = more ? head_bytes + bytes.size() - used : head_bytes;
  if (error == bhttp::error::header_limit || held > limits.max_header_bytes ||
      (more && held == limits.max_header_bytes)) {
    // Beast puts even the request line off when it comes in small pieces, so look for its end as
    // well.
    if (!collector->line_done() &&
        bytes.substr(0, limits.max_header_bytes).find("\r\n") == std::string_view::npos) {
      return std::unexpected(RequestFault{414, "uri_too_long", "the request line is too long"});
    }
    return std::unexpected(RequestFault{431, "header_too_large",
                                        "the header is larger than the " +
                                            std::to_string(limits.max_header_bytes) +
                                            " bytes accepted here"});
  }
  if (error == bhttp::error::bad_version && names_other_version(bytes)) {
    return std::unexpected(RequestFault{505, "http_version_not_supported",
                                        "this server speaks HTTP/1.1 and HTTP/1.0"});
  }
  if (error && !more) {
    return std::unexpected(
        RequestFault{400, "bad_request", "malformed request: " + error.message()});
  }
  if (collector->is_header_done() && !collector->is_done()) {
    if (collector->chunked()) {
      chunks.emplace(limits.max_header_bytes);
    } else {
      // Not all of a large length at once: memory follows the bytes that really come.
      constexpr std::uint64_t kFirstReserve = 256 * 1024;
      request->body.reserve(
          static_cast<std::size_t>(std::min(*collector->content_length(), kFirstReserve)));
    }
  }
  return skipped + used;
}

std::expected<std::size_t, RequestFault> RequestParser::Impl::feed_body(std::string_view bytes) {
  std::size_t taken = 0;
  bool fits = true;
  if (!chunks) {
    const auto left = static_cast<std::size_t>(*collector->content_length()) - request->body.size();
    taken = std::min(left, bytes.size());
    fits = append(bytes.substr(0, taken));
    body_done = taken == left;
  } else {
    while (taken < bytes.size() && fits && !chunks->done() &&
           chunks->fault() == ChunkDecoder::Fault::kNone) {
      const auto step = chunks->next(bytes.substr(taken));
      taken += step.taken;
      fits = append(step.piece);
    }
    body_done = chunks->done();
    if (chunks->fault() == ChunkDecoder::Fault::kMalformed) {
      return std::unexpected(RequestFault{400, "bad_request", "malformed chunked body"});
    }
    if (chunks->fault() == ChunkDecoder::Fault::kTooLong) {
      return std::unexpected(
          RequestFault{431, "header_too_large", "chunk extension or trailer too large"});
    }
  }
  if (!fits) {
    return std::unexpected(RequestFault{
        413, "payload_too_large",
        "the body is larger than the " + std::to_string(max_body_bytes) + " bytes accepted here"});
  }
  return taken;
}

bool RequestParser::head_done() const { return impl_->collector->is_header_done(); }
bool RequestParser::done() const { return impl_->done(); }
bool RequestParser::begun() const { return impl_->begun; }
bool RequestParser::keep_alive() const { return impl_->collector->keep_alive(); }
bool RequestParser::http_1_1() const { return impl_->collector->is_http_1_1(); }
bool RequestParser::expects_continue() const { return impl_->collector->expects_continue(); }

std::size_t RequestParser::content_length() const {
  const auto length = impl_->collector->content_length();
  return length ? static_cast<std::size_t>(*length) : 0;
}

void RequestParser::set_max_body_bytes(std::size_t bytes) { impl_->max_body_bytes = bytes; }
std::string_view RequestParser::raw_path() const { return impl_->collector->raw_path(); }

}  // namespace asahi::http
