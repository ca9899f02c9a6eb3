#include "net/http/response_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <optional>

#include "net/http/ascii.h"
#include "net/http/chunk_decoder.h"

namespace asahi::http {
namespace {

namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using ErrorCode = beast::error_code;

constexpr std::size_t kMaxFields = 256;
constexpr int kMaxInterim = 16;

std::unexpected<Error> malformed(std::string why) {
  auto failure = fail(Errc::kUpstream, "the server's answer is malformed: " + std::move(why));
  failure.error().reason = "bad_response";
  return failure;
}

class Collector final : public bhttp::basic_parser<false> {
 public:
  Collector(Headers& headers, std::size_t max_header_bytes) : headers_(headers) {
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(max_header_bytes, 0xffffffffu)));
    body_limit(boost::none);
  }
  int status() const { return status_; }
  bool foreign_coding() const { return foreign_coding_; }

 private:
  void on_request_impl(bhttp::verb, beast::string_view, beast::string_view, int,
                       ErrorCode&) override {}
  void on_response_impl(int status, beast::string_view, int, ErrorCode&) override {
    status_ = status;
  }
  void on_field_impl(bhttp::field field, beast::string_view name, beast::string_view value,
                     ErrorCode& error) override {
    if (headers_.size() >= kMaxFields) {
      error = bhttp::error::header_limit;
      return;
    }
    if (field == bhttp::field::transfer_encoding &&
        !iequals({value.data(), value.size()}, "chunked")) {
      foreign_coding_ = true;
    }
    headers_.add(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  void on_header_impl(ErrorCode&) override {}
  // The body does not go through Beast: see next_body.
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode&) override {}
  std::size_t on_body_impl(beast::string_view bytes, ErrorCode&) override { return bytes.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view bytes, ErrorCode&) override {
    return bytes.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  Headers& headers_;
  int status_ = 0;
  bool foreign_coding_ = false;
};

}  // namespace

struct ResponseParser::Impl {
  enum class Body : std::uint8_t { kUnknown, kNone, kLength, kChunked, kToEnd };

  Impl(RequestKind request, std::size_t max_bytes)
      : head_request(request == RequestKind::kHead), max_header_bytes(max_bytes) {
    collector.emplace(headers, max_header_bytes);
  }

  Result<void> end_head() {
    const int status = collector->status();
    keep_alive = collector->keep_alive();
    if (head_request || status == 204 || status == 304) {
      body = Body::kNone;
    } else if (collector->foreign_coding()) {
      return malformed("a transfer encoding other than 'chunked'");
    } else if (collector->chunked()) {
      body = Body::kChunked;
      chunks.emplace(max_header_bytes);
    } else if (const auto length = collector->content_length()) {
      left = *length;
      body = left == 0 ? Body::kNone : Body::kLength;
    } else {
      body = Body::kToEnd;
      keep_alive = false;
    }
    done = body == Body::kNone;
    return {};
  }

  bool head_request;
  std::size_t max_header_bytes;
  Headers headers;
  std::optional<Collector> collector;
  std::optional<ChunkDecoder> chunks;
  Body body = Body::kUnknown;
  std::uint64_t left = 0;
  std::size_t head_bytes = 0;
  int interim = 0;
  bool done = false;
  bool keep_alive = false;
};

ResponseParser::ResponseParser(RequestKind request, std::size_t max_header_bytes)
    : impl_(std::make_unique<Impl>(request, max_header_bytes)) {}
ResponseParser::~ResponseParser() = default;

Result<std::size_t> ResponseParser::feed_head(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !head_done()) {
    const std::string_view rest = bytes.substr(taken);
    ErrorCode error;
    const std::size_t used =
        impl_->collector->put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    taken += used;
    impl_->head_bytes += used;
    const bool more = error == bhttp::error::need_more;
    if (impl_->head_bytes + (more ? rest.size() - used : 0) > impl_->max_header_bytes) {
      return malformed("header too large");
    }
    if (more) break;
    if (error) return malformed(error.message());
    const int status = impl_->collector->status();
    if (status >= 200) {
      if (auto ended = impl_->end_head(); !ended) return std::unexpected(std::move(ended).error());
    } else if (status == 101 || status < 100 || ++impl_->interim > kMaxInterim) {
      return malformed("unexpected status " + std::to_string(status));
    } else {
      impl_->headers.clear();
      impl_->collector.emplace(impl_->headers, impl_->max_header_bytes);
    }
  }
  return taken;
}

bool ResponseParser::head_done() const { return impl_->body != Impl::Body::kUnknown; }

Result<ResponseParser::Step> ResponseParser::next_body(std::string_view bytes) {
  Step step;
  switch (impl_->body) {
    case Impl::Body::kLength:
      step.taken = static_cast<std::size_t>(std::min<std::uint64_t>(impl_->left, bytes.size()));
      step.piece = bytes.substr(0, step.taken);
      impl_->left -= step.taken;
      impl_->done = impl_->left == 0;
      return step;
    case Impl::Body::kChunked: {
      const auto decoded = impl_->chunks->next(bytes);
      if (impl_->chunks->fault() != ChunkDecoder::Fault::kNone)
        return malformed("broken chunked body");
      impl_->done = impl_->chunks->done();
      return Step{decoded.taken, decoded.piece};
    }
    case Impl::Body::kToEnd:
      return Step{bytes.size(), bytes};
    case Impl::Body::kNone:
    case Impl::Body::kUnknown:
      break;
  }
  return step;
}

bool ResponseParser::done() const { return impl_->done; }

Result<void> ResponseParser::finish() {
  if (impl_->done) return {};
  if (impl_->body == Impl::Body::kToEnd) {
    impl_->done = true;
    return {};
  }
  auto failure =
      fail(Errc::kUpstream, "the server closed the connection before its answer was complete");
  failure.error().reason = "connection_cut";
  return failure;
}

int ResponseParser::status() const { return impl_->collector->status(); }
const Headers& ResponseParser::headers() const { return impl_->headers; }
Headers ResponseParser::take_headers() { return std::move(impl_->headers); }
bool ResponseParser::keep_alive() const { return impl_->keep_alive; }

std::optional<std::size_t> ResponseParser::content_length() const {
  if (impl_->body != Impl::Body::kLength) return std::nullopt;
  return static_cast<std::size_t>(*impl_->collector->content_length());
}

}  // namespace asahi::http
