// TLS on a non-blocking socket with OpenSSL directly: SSL reads and writes through a BIO of our own
// (MSG_NOSIGNAL), and we wait for the socket when it asks. That needs no 34 KiB of buffers per
// connection as asio::ssl does, lets SSL_peek look for a silent end, and keeps asio::ssl's
// templates out of the build.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>

#include <array>
#include <cerrno>
#include <climits>
#include <memory>

#include "base/ids.h"
#include "net/socket.h"
#include "net/tls.h"

namespace asahi::net {

namespace asio = boost::asio;

namespace {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  const char* text = ERR_reason_error_string(code);
  return text != nullptr ? text : fmt::format("code {:#x}", code);
}

// --- BIO over a socket handle ---

int handle_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent =
      ::send(handle_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(handle_of(bio), data, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* socket_bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "asahi socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

// --- contexts ---

constexpr unsigned char kAlpn[] = "\x08http/1.1";

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<const TlsContext> new_context(const SSL_METHOD* method) {
  auto context = std::make_shared<const TlsContext>(SSL_CTX_new(method));
  SSL_CTX* const native = context->native();
  if (native == nullptr) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(native, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
  return context;
}

/// The last word of OpenSSL about a file, with the member of TlsFiles that names it.
std::unexpected<Error> unusable(std::string_view what, const std::string& file, std::string field,
                                std::string_view reason, std::string_view expected) {
  return fail_field(std::move(field), fmt::format("TLS {} '{}' cannot be used ({}); expected {}",
                                                  what, file, reason, expected));
}

Result<void> use_files(SSL_CTX* native, const TlsFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(native, files.certificate_file.c_str()) != 1) {
    return unusable("certificate", files.certificate_file, "certificate_file", openssl_reason(),
                    "a PEM chain, server first");
  }
  if (SSL_CTX_use_PrivateKey_file(native, files.private_key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable("private key", files.private_key_file, "private_key_file", openssl_reason(),
                    "PEM matching the certificate");
  }
  if (!files.must_be_current) return {};
  const X509* const certificate = SSL_CTX_get0_certificate(native);
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    return unusable("certificate", files.certificate_file, "certificate_file", "it has expired",
                    "one that is valid now");
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    return unusable("certificate", files.certificate_file, "certificate_file",
                    "it is not valid yet", "one that is valid now");
  }
  return {};
}

Result<void> ask_for_client_certificates(SSL_CTX* native, const TlsFiles& files) {
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(files.client_ca_file.c_str());
  if (names == nullptr ||
      SSL_CTX_load_verify_locations(native, files.client_ca_file.c_str(), nullptr) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return unusable("file of client CAs", files.client_ca_file, "client_ca_file", openssl_reason(),
                    "PEM certificates");
  }
  SSL_CTX_set_client_CA_list(native, names);  // takes it over; clients choose by these names
  SSL_CTX_set_verify(
      native,
      SSL_VERIFY_PEER | (files.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nullptr);
  // Without one OpenSSL refuses to resume sessions of verified clients.
  constexpr unsigned char kSessions[] = "asahi";
  SSL_CTX_set_session_id_context(native, kSessions, sizeof kSessions - 1);
  return {};
}

/// A fresh key of P-256 and a certificate for this machine's own names, good for 30 days.
bool use_throw_away_certificate(SSL_CTX* native) {
  constexpr long kHour = 3600, kDays = 30;
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  if (!key || !certificate) return false;
  X509* const raw = certificate.get();
  X509_set_version(raw, 2);
  std::array<unsigned char, 16> serial{};
  random_bytes(serial.data(), serial.size());
  serial[0] &= 0x7F;  // RFC 5280 §4.1.2.2: a positive number
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      BN_bin2bn(serial.data(), serial.size(), nullptr), BN_free);
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(raw)) == nullptr)
    return false;
  // Clocks of two machines differ a little.
  X509_gmtime_adj(X509_getm_notBefore(raw), -kHour);
  X509_gmtime_adj(X509_getm_notAfter(raw), kDays * 24 * kHour);
  X509_set_pubkey(raw, key.get());
  X509_NAME* const name = X509_get_subject_name(raw);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(raw, name);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                          "DNS:localhost,IP:127.0.0.1,IP:::1"),
      X509_EXTENSION_free);
  return names && X509_add_ext(raw, names.get(), -1) == 1 &&
         X509_sign(raw, key.get(), EVP_sha256()) > 0 && SSL_CTX_use_certificate(native, raw) == 1 &&
         SSL_CTX_use_PrivateKey(native, key.get()) == 1;
}

/// SNI, and whose certificate it must be. False when OpenSSL does not take the name.
bool expect_host(SSL* ssl, std::string host) {
  in6_addr parsed{};
  if (inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
      inet_pton(AF_INET6, host.c_str(), &parsed) == 1) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  // "host." is absolute for DNS; neither SNI (RFC 6066 §3) nor certificates have the dot.
  if (host.ends_with('.')) host.pop_back();
  if (host.empty()) return false;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

class TlsStream final : public Stream {
 public:
  TlsStream(Socket socket, std::string remote, const std::shared_ptr<const TlsContext>& context)
      : socket_(std::move(socket)), remote_(std::move(remote)), ssl_(SSL_new(context->native())) {
    if (ssl_ == nullptr) throw std::bad_alloc();
    BIO* const bio = BIO_new(socket_bio_method());
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket_.native_handle())));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
  }

  ~TlsStream() override {
    close();
    SSL_free(ssl_);
  }

  SSL* native() { return ssl_; }

  Task<void> handshake() {
    for (;;) {
      if (closed_) co_return std::unexpected(closed_error());
      ERR_clear_error();
      const int outcome = SSL_do_handshake(ssl_);
      if (outcome == 1) co_return Result<void>{};
      if (auto ready = co_await wait_for(SSL_get_error(ssl_, outcome)); !ready) {
        co_return std::unexpected(std::move(ready).error());
      }
    }
  }

  Task<std::size_t> read_some(asio::mutable_buffer into) override {
    const int size = static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX));
    for (;;) {
      if (closed_) co_return std::unexpected(closed_error());
      ERR_clear_error();
      const int got = SSL_read(ssl_, into.data(), size);
      if (got > 0) co_return static_cast<std::size_t>(got);
      const int why = SSL_get_error(ssl_, got);
      if (why == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (auto ready = co_await wait_for(why); !ready)
        co_return std::unexpected(std::move(ready).error());
    }
  }

  Task<void> write(asio::const_buffer bytes) override {
    while (bytes.size() > 0) {
      if (closed_) co_return std::unexpected(closed_error());
      ERR_clear_error();
      const int sent = SSL_write(ssl_, bytes.data(),
                                 static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
      if (sent > 0) {
        bytes += static_cast<std::size_t>(sent);
        continue;
      }
      if (auto ready = co_await wait_for(SSL_get_error(ssl_, sent)); !ready) {
        co_return std::unexpected(std::move(ready).error());
      }
    }
    co_return Result<void>{};
  }

  Task<void> write_all(Gather pieces) override {
    const std::string joined = join(pieces);
    if (joined.empty()) co_return co_await Stream::write_all(pieces);
    co_return co_await write(asio::buffer(joined));
  }

  std::size_t try_write(const Gather& pieces) override {
    // One record goes out whole or not at all. Where it does not, SSL keeps its head and wants the
    // same bytes again: those of the write that follows.
    const std::string joined = join(pieces);
    if (closed_ || broken_ || joined.empty()) return 0;
    ERR_clear_error();
    const int sent = SSL_write(ssl_, joined.data(), static_cast<int>(joined.size()));
    if (sent > 0) return static_cast<std::size_t>(sent);
    const int why = SSL_get_error(ssl_, sent);
    broken_ = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
    return 0;
  }

  Aw<void> wait_readable() override {
    if (closed_ || SSL_pending(ssl_) > 0) co_return;
    boost::system::error_code ignored;
    co_await socket_.async_wait(Socket::wait_read, asio::redirect_error(use_aw, ignored));
  }

  bool peer_closed() override { return peek() == Peeked::kEnd; }
  bool quiet() override { return peek() == Peeked::kNothing; }

  void interrupt() override {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }

  void shutdown_write() override {
    if (closed_) return;
    say_goodbye();
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void close() override {
    if (std::exchange(closed_, true)) return;
    say_goodbye();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  std::string remote_address() const override { return remote_; }

 private:
  static constexpr std::size_t kJoinLimit = 16 * 1024;
  enum class Peeked { kBytes, kNothing, kEnd };

  /// One record for a small answer, rather than one per piece; empty for what needs several.
  static std::string join(const Gather& pieces) {
    std::size_t total = 0;
    for (const auto& piece : pieces) total += piece.size();
    std::string joined;
    if (total > kJoinLimit) return joined;
    joined.reserve(total);
    for (const auto& piece : pieces)
      joined.append(static_cast<const char*>(piece.data()), piece.size());
    return joined;
  }

  static Error closed_error() {
    return fail(Errc::kCancelled, "the connection was closed here").error();
  }

  /// close_notify, if it fits into the socket's buffer; nobody waits for an answer.
  void say_goodbye() {
    if (!SSL_is_init_finished(ssl_) || broken_) return;
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }

  Peeked peek() {
    if (closed_) return Peeked::kEnd;
    ERR_clear_error();
    char byte;
    const int got = SSL_peek(ssl_, &byte, 1);
    if (got > 0) return Peeked::kBytes;
    const int why = SSL_get_error(ssl_, got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? Peeked::kNothing
                                                                     : Peeked::kEnd;
  }

  /// Waits for what SSL asked for; an error for what is none of its wishes.
  Task<void> wait_for(int ssl_error) {
    if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE) {
      broken_ = true;
      const int system = errno;
      if (ssl_error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
        co_return fail(Errc::kUnavailable,
                       fmt::format("TLS connection failed: {}",
                                   system != 0 ? std::strerror(system) : "cut by the peer"));
      }
      co_return fail(Errc::kUnavailable, "TLS connection failed: " + openssl_reason());
    }
    boost::system::error_code error;
    co_await socket_.async_wait(
        ssl_error == SSL_ERROR_WANT_READ ? Socket::wait_read : Socket::wait_write,
        asio::redirect_error(use_aw, error));
    if (error) co_return std::unexpected(socket_error(error));
    co_return Result<void>{};
  }

  Socket socket_;
  std::string remote_;
  SSL* ssl_;
  bool closed_ = false;
  bool broken_ = false;  ///< after a fatal error SSL must not be asked to say goodbye
};

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsFiles& files) {
  auto context = new_context(TLS_server_method());
  SSL_CTX* const native = context->native();
  ERR_clear_error();
  if (files.throw_away) {
    if (!use_throw_away_certificate(native))
      return fail(Errc::kInternal, "a certificate cannot be made: " + openssl_reason());
  } else if (auto used = use_files(native, files); !used) {
    return std::unexpected(std::move(used).error());
  }
  if (!files.client_ca_file.empty()) {
    if (auto used = ask_for_client_certificates(native, files); !used)
      return std::unexpected(std::move(used).error());
  }
  SSL_CTX_set_alpn_select_cb(native, select_alpn, nullptr);
  SSL_CTX_set_options(native, SSL_OP_CIPHER_SERVER_PREFERENCE);
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(bool verify, std::string ca_file) {
  auto context = new_context(TLS_client_method());
  SSL_CTX* const native = context->native();
  ERR_clear_error();
  SSL_CTX_set_default_verify_paths(native);
  if (!ca_file.empty() && SSL_CTX_load_verify_locations(native, ca_file.c_str(), nullptr) != 1) {
    return fail(Errc::kInvalidArgument,
                fmt::format("CA file '{}' cannot be used ({}); expected PEM certificates", ca_file,
                            openssl_reason()));
  }
  ERR_clear_error();
  SSL_CTX_set_verify(native, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_alpn_protos(native, kAlpn, sizeof kAlpn - 1);
  return context;
}

Task<std::unique_ptr<Stream>> accept_tls(Loop& loop, Socket socket, std::string remote,
                                         std::shared_ptr<const TlsContext> context,
                                         std::chrono::steady_clock::time_point deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(remote), context);
  SSL_set_accept_state(stream->native());
  const Interruption interruption(loop, deadline, nullptr, [raw = stream.get()] { raw->close(); });
  if (auto done = co_await stream->handshake(); !done) {
    co_return std::unexpected(interruption.explain("TLS handshake", std::move(done).error()));
  }
  co_return std::move(stream);
}

Task<std::unique_ptr<Stream>> connect_tls(Loop& loop, Socket socket, std::string remote,
                                          std::shared_ptr<const TlsContext> context,
                                          std::string host,
                                          std::chrono::steady_clock::time_point deadline,
                                          CancelSource* cancel) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(remote), context);
  SSL* const ssl = stream->native();
  SSL_set_connect_state(ssl);
  if (!expect_host(ssl, host)) {
    // Going on would mean to take any host's certificate.
    co_return fail(Errc::kUnavailable,
                   fmt::format("'{}' is no host name that a TLS certificate can be for", host));
  }
  const Interruption interruption(loop, deadline, cancel, [raw = stream.get()] { raw->close(); });
  if (auto done = co_await stream->handshake(); !done) {
    auto error = interruption.explain("TLS handshake with " + host, std::move(done).error());
    const long verdict = SSL_get_verify_result(ssl);
    if (error.code == Errc::kUnavailable && verdict != X509_V_OK) {
      error.message = fmt::format("the TLS certificate of '{}' was refused: {}", host,
                                  X509_verify_cert_error_string(verdict));
    }
    co_return std::unexpected(std::move(error));
  }
  co_return std::move(stream);
}

}  // namespace asahi::net
