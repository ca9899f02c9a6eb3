#include "net/testing/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace asahi::net_testing {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(int handle, std::chrono::milliseconds patience) {
  pollfd poll_for{handle, POLLIN, 0};
  return ::poll(&poll_for, 1, static_cast<int>(patience.count())) == 1;
}

}  // namespace

RawSocket RawSocket::connect(std::uint16_t port) {
  const int handle = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(handle);
    throw std::runtime_error("connect failed");
  }
  const int on = 1;
  ::setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return RawSocket(handle);
}

RawSocket::RawSocket(RawSocket&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

RawSocket::~RawSocket() { close(); }

void RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the peer hung up; what it said is still to be read
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string RawSocket::receive(std::chrono::milliseconds patience) {
  if (!readable(handle_, patience)) return {};
  std::string bytes(64 * 1024, '\0');
  const ssize_t got = ::recv(handle_, bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

std::string RawSocket::receive_until(std::string_view bytes, std::chrono::milliseconds patience) {
  std::string all;
  while (all.find(bytes) == std::string::npos) {
    const std::string more = receive(patience);
    if (more.empty()) break;
    all += more;
  }
  return all;
}

std::string RawSocket::receive_all(std::chrono::milliseconds patience) {
  std::string all;
  for (std::string more = receive(patience); !more.empty(); more = receive(patience)) all += more;
  return all;
}

bool RawSocket::closed_by_peer(std::chrono::milliseconds patience) {
  while (readable(handle_, patience)) {
    char bytes[4096];
    if (::recv(handle_, bytes, sizeof bytes, 0) <= 0) return true;
  }
  return false;
}

void RawSocket::half_close() { ::shutdown(handle_, SHUT_WR); }

void RawSocket::close() {
  if (handle_ >= 0) ::close(std::exchange(handle_, -1));
}

void RawSocket::reset() {
  const linger at_once{1, 0};
  ::setsockopt(handle_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

RawListener::RawListener() : handle_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(handle_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(handle_, 64) != 0 ||
      ::getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("listen failed");
  }
  port_ = ntohs(address.sin_port);
}

RawListener::~RawListener() { close(); }

RawSocket RawListener::accept() {
  if (!readable(handle_, std::chrono::seconds(5))) throw std::runtime_error("nobody connected");
  return RawSocket(::accept(handle_, nullptr, nullptr));
}

void RawListener::close() {
  if (handle_ >= 0) ::close(std::exchange(handle_, -1));
}

}  // namespace asahi::net_testing
