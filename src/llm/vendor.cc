#include "llm/vendor.h"

#include <fmt/format.h>

#include <cmath>

#include "llm/wire/stream_frame.h"

namespace asahi::llm {
namespace {

using Kind = StreamEvent::Kind;

/// What is read of an error's body; vendors' messages are short.
constexpr std::size_t kMaxErrorBody = 64 * 1024;
/// What is read of a whole answer where a stream was asked for.
constexpr std::size_t kMaxWholeBody = 8 * 1024 * 1024;
/// How long the last events wait for the body's end, so that its connection can be used again.
constexpr std::chrono::milliseconds kDrainTime{30};

http::CallOptions options_of(const CallContext& context) {
  return {
      .deadline = context.deadline, .idle_timeout = context.idle_timeout, .cancel = context.cancel};
}

std::string_view models_target(Shape shape) {
  switch (shape) {
    case Shape::kGoogle:
      return "/v1beta/models";
    case Shape::kOllama:
      return "/api/tags";
    default:
      return "/v1/models";
  }
}

bool is_json(const http::Headers& headers) {
  return headers.get("content-type").starts_with("application/json");
}

http::ClientRequest make_call(const VendorOptions& options, const VendorCodec& codec,
                              const CallContext& context, WireRequest wire,
                              const std::string& key) {
  http::ClientRequest call;
  call.origin = options.origin;
  call.target = std::move(wire.target);
  call.headers = std::move(wire.headers);
  call.body = std::move(wire.body);
  if (!key.empty()) codec.authorize(call.headers, key);
  if (!context.traceparent.empty()) {
    call.headers.set("traceparent", context.traceparent);
    if (!context.tracestate.empty()) call.headers.set("tracestate", context.tracestate);
  }
  if (!call.headers.has("user-agent")) call.headers.set("user-agent", "asahi");
  return call;
}

/// Puts the vendor's name in front of what it said.
std::unexpected<Error> named(const VendorOptions& options, Error error) {
  error.message = fmt::format("{}: {}", options.name, error.message);
  return std::unexpected(std::move(error));
}

Task<std::string> read_all(http::ClientStream& stream, std::size_t limit, bool cut) {
  std::string body;
  while (true) {
    ASAHI_CO_TRY(const std::optional<std::string_view> piece, co_await stream.read());
    if (!piece) break;
    body.append(piece->substr(0, limit - body.size()));
    if (body.size() < limit) continue;
    if (cut) break;
    co_return fail(Errc::kUpstream,
                   fmt::format("the vendor's answer is larger than {} bytes", limit));
  }
  co_return body;
}

/// The events that a whole answer amounts to.
std::vector<StreamEvent> events_of(const ChatResponse& response) {
  std::vector<StreamEvent> out;
  StreamEvent& start = wire::add_event(out, Kind::kStart);
  start.id = response.id;
  start.model = response.model;
  start.usage = wire::usage_at_start(response.usage);
  std::size_t calls = 0;
  for (const Part& part : response.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      wire::add_event(out, Kind::kText, text->text);
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      wire::add_event(out, Kind::kRefusal, refusal->text);
    } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
      StreamEvent& event = wire::add_event(out, Kind::kReasoning, thought->text);
      event.signature = thought->signature;
      event.encrypted = thought->encrypted;
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      StreamEvent& event = wire::add_event(out, Kind::kToolCallStart);
      event.tool_index = calls;
      event.tool_id = call->id;
      event.tool_name = call->name;
      wire::add_event(out, Kind::kToolCallDelta, call->arguments).tool_index = calls++;
    }
  }
  StreamEvent& finish = wire::add_event(out, Kind::kFinish);
  finish.finish = response.finish;
  finish.stop_sequence = response.stop_sequence;
  if (response.usage.reported) wire::add_event(out, Kind::kUsage).usage = response.usage;
  wire::add_event(out, Kind::kDone);
  return out;
}

/// An answer that came whole although a stream was asked for.
class WholeStream final : public ChatStream {
 public:
  explicit WholeStream(std::vector<StreamEvent> events) : events_(std::move(events)) {}
  Task<std::vector<StreamEvent>> next() override { co_return std::exchange(events_, {}); }

 private:
  std::vector<StreamEvent> events_;
};

class VendorStream final : public ChatStream {
 public:
  VendorStream(std::string vendor, CancelSource* cancel) : vendor_(std::move(vendor)) {
    if (cancel != nullptr) caller_gone_ = cancel->on_cancel([this] { cancel_.cancel(); });
  }

  /// Ends the vendor's connection; separate from the caller's so that a lingering end can be
  /// dropped.
  CancelSource& cancel() { return cancel_; }

  void begin(std::unique_ptr<http::ClientStream> body, std::unique_ptr<StreamDecoder> decoder) {
    body_ = std::move(body);
    decoder_ = std::move(decoder);
  }

  Task<std::vector<StreamEvent>> next() override {
    std::vector<StreamEvent> events;
    while (events.empty() && !done_) {
      if (failure_) co_return std::unexpected(*std::exchange(failure_, std::nullopt));
      if (body_ == nullptr)
        co_return fail(Errc::kUpstream, vendor_ + ": the stream has failed before");
      auto piece = co_await body_->read();
      if (!piece) {
        body_.reset();
        co_return std::unexpected(cut(std::move(piece.error())));
      }
      const auto read =
          piece->has_value() ? decoder_->feed(**piece, events) : decoder_->finish(events);
      if (!piece->has_value()) body_.reset();
      // What came before the error is given out first.
      if (!read) fail_with(read.error());
      done_ = !events.empty() && std::ranges::any_of(events, is_done);
    }
    if (done_ && body_ != nullptr) co_await drain();
    co_return events;
  }

 private:
  static bool is_done(const StreamEvent& event) { return event.kind == Kind::kDone; }

  void fail_with(Error error) {
    error.message = fmt::format("{}: {}", vendor_, error.message);
    failure_ = std::move(error);
    body_.reset();
  }

  // A connection lost in mid-answer is for the caller the same as a body that ends too early.
  Error cut(Error error) const {
    if (error.code == Errc::kUpstream || error.code == Errc::kUnavailable) {
      error.code = Errc::kUpstream;
      error.reason = "stream_cut";
    }
    error.message = fmt::format("{}: {}", vendor_, error.message);
    return error;
  }

  // The end mark was read and mostly the body's end is there as well: taking it gives the
  // connection back to its pool.
  Aw<void> drain() {
    const auto deadline = net::Loop::current()->at(std::chrono::steady_clock::now() + kDrainTime,
                                                   [this] { cancel_.cancel(); });
    while (true) {
      const auto piece = co_await body_->read();
      if (!piece || !piece->has_value()) break;
    }
    body_.reset();
  }

  std::string vendor_;
  CancelSource cancel_;
  CancelSource::Subscription caller_gone_;
  std::unique_ptr<StreamDecoder> decoder_;
  std::unique_ptr<http::ClientStream> body_;
  std::optional<Error> failure_;
  bool done_ = false;
};

// Codecs promise vectors as the vendor made them; comparing by dot product needs unit length.
void normalise(std::vector<float>& vector) {
  double sum = 0;
  for (const float x : vector) sum += static_cast<double>(x) * x;
  if (sum <= 0 || std::abs(sum - 1) < 1e-5) return;
  const double scale = 1 / std::sqrt(sum);
  for (float& x : vector) x = static_cast<float>(x * scale);
}

// The codec reads from the request whether to stream; callers collect streams and answer whole at
// will.
Result<WireRequest> encode_as(const VendorCodec& codec, const ChatRequest& request, bool stream) {
  if (request.stream == stream) return codec.encode(request, request.model);
  ChatRequest other = request;
  other.stream = stream;
  return codec.encode(other, other.model);
}

}  // namespace

Vendor::Vendor(VendorOptions options, std::unique_ptr<VendorCodec> codec,
               net::PerLoop<http::Client>& clients)
    : options_(std::move(options)),
      codec_(std::move(codec)),
      clients_(clients),
      key_(options_.api_key),
      has_key_(!key_.empty()) {}

Vendor::~Vendor() = default;

void Vendor::use_key(Secret key) {
  const std::scoped_lock lock(mutex_);
  has_key_.store(!key.empty(), std::memory_order_relaxed);
  key_ = std::move(key);
}

Secret Vendor::platform_key() const {
  const std::scoped_lock lock(mutex_);
  return key_;
}

Result<std::string> Vendor::key_of(const CallContext& context) const {
  if (!context.api_key.empty()) return context.api_key.reveal();
  Secret key = platform_key();
  if (!key.empty() || !options_.needs_key) return key.reveal();
  auto failure =
      fail(Errc::kUnauthenticated,
           fmt::format(
               "no API key for the vendor '{}': configure one, or send your own with the request",
               options_.name));
  failure.error().reason = "no_vendor_key";
  return failure;
}

Task<ChatResponse> Vendor::chat(const ChatRequest& request, const CallContext& context) {
  ASAHI_CO_TRY(const std::string key, key_of(context));
  ASAHI_CO_TRY(WireRequest wire, encode_as(*codec_, request, false));
  http::ClientRequest call = make_call(options_, *codec_, context, std::move(wire), key);
  ASAHI_CO_TRY(const http::ClientResponse answer,
               co_await clients_.local().send(std::move(call), options_of(context)));
  if (answer.status / 100 != 2) {
    co_return named(options_, codec_->decode_error(answer.status, answer.headers, answer.body));
  }
  auto response = codec_->decode(answer.body);
  if (!response) co_return named(options_, std::move(response.error()));
  co_return response;
}

Task<std::unique_ptr<ChatStream>> Vendor::stream(const ChatRequest& request,
                                                 const CallContext& context) {
  ASAHI_CO_TRY(const std::string key, key_of(context));
  ASAHI_CO_TRY(WireRequest wire, encode_as(*codec_, request, true));
  http::ClientRequest call = make_call(options_, *codec_, context, std::move(wire), key);
  auto stream = std::make_unique<VendorStream>(options_.name, context.cancel);
  http::CallOptions options = options_of(context);
  options.cancel = &stream->cancel();
  ASAHI_CO_TRY(std::unique_ptr<http::ClientStream> body,
               co_await clients_.local().open(std::move(call), std::move(options)));
  const int status = body->status();
  if (status / 100 != 2) {
    // An error whose body breaks off is still that error.
    const auto text = co_await read_all(*body, kMaxErrorBody, true);
    co_return named(options_, codec_->decode_error(status, body->headers(), text.value_or("")));
  }
  if (is_json(body->headers())) {
    ASAHI_CO_TRY(const std::string text, co_await read_all(*body, kMaxWholeBody, false));
    auto response = codec_->decode(text);
    if (!response) co_return named(options_, std::move(response.error()));
    co_return std::make_unique<WholeStream>(events_of(*response));
  }
  stream->begin(std::move(body), codec_->stream_decoder());
  co_return std::unique_ptr<ChatStream>(std::move(stream));
}

Task<EmbeddingResponse> Vendor::embed(const EmbeddingRequest& request, const CallContext& context) {
  ASAHI_CO_TRY(const std::string key, key_of(context));
  ASAHI_CO_TRY(WireRequest wire, codec_->encode_embedding(request, request.model));
  http::ClientRequest call = make_call(options_, *codec_, context, std::move(wire), key);
  ASAHI_CO_TRY(const http::ClientResponse answer,
               co_await clients_.local().send(std::move(call), options_of(context)));
  if (answer.status / 100 != 2) {
    co_return named(options_, codec_->decode_error(answer.status, answer.headers, answer.body));
  }
  auto response = codec_->decode_embedding(answer.body);
  if (!response) co_return named(options_, std::move(response.error()));
  const std::size_t wanted = request.input.size() + request.tokens.size();
  if (response->vectors.size() != wanted) {
    co_return fail(Errc::kUpstream, fmt::format("{}: {} vectors came back for {} inputs",
                                                options_.name, response->vectors.size(), wanted));
  }
  for (auto& vector : response->vectors) normalise(vector);
  if (response->model.empty()) response->model = request.model;
  co_return response;
}

Task<std::string> Vendor::send(http::Method method, WireRequest request, CallContext context) {
  ASAHI_CO_TRY(const std::string key, key_of(context));
  http::ClientRequest call = make_call(options_, *codec_, context, std::move(request), key);
  call.method = method;
  ASAHI_CO_TRY(http::ClientResponse answer,
               co_await clients_.local().send(std::move(call), options_of(context)));
  if (answer.status / 100 != 2) {
    co_return named(options_, codec_->decode_error(answer.status, answer.headers, answer.body));
  }
  co_return std::move(answer.body);
}

Task<void> Vendor::probe(const CallContext& context) {
  WireRequest wire{.target = std::string(models_target(codec_->shape()))};
  const std::string key =
      context.api_key.empty() ? platform_key().reveal() : context.api_key.reveal();
  http::ClientRequest call = make_call(options_, *codec_, context, std::move(wire), key);
  call.method = http::Method::kGet;
  ASAHI_CO_TRY(const http::ClientResponse answer,
               co_await clients_.local().send(std::move(call), options_of(context)));
  if (answer.status >= 500)
    co_return named(options_, codec_->decode_error(answer.status, answer.headers, answer.body));
  co_return Result<void>();
}

}  // namespace asahi::llm
