#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace asahi::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

int local_socket(sockaddr_in& address, std::uint16_t port) {
  address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

std::int64_t now_ns() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

std::string_view header_of(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;
       at = head.find("\r\n", at + 2)) {
    const std::string_view field = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    if (field.size() <= name.size() || field[name.size()] != ':' ||
        ::strncasecmp(field.data(), name.data(), name.size()) != 0) {
      continue;
    }
    const std::size_t begin = field.find_first_not_of(' ', name.size() + 1);
    return begin == std::string_view::npos ? std::string_view() : field.substr(begin);
  }
  return {};
}

std::size_t ResponseReader::feed(std::string_view bytes, std::string& body) {
  std::size_t used = 0;
  while (state_ != State::kDone && state_ != State::kBroken) {
    const std::string_view rest = bytes.substr(used);
    std::size_t step = 0;
    if (state_ == State::kHead) {
      step = head(rest);
    } else if (state_ == State::kLength || state_ == State::kChunk) {
      step = std::min(left_, rest.size());
      body.append(rest.substr(0, step));
      left_ -= step;
      if (left_ == 0) state_ = state_ == State::kLength ? State::kDone : State::kChunkEnd;
    } else {
      step = line(rest);
    }
    if (step == 0) break;
    used += step;
  }
  return used;
}

std::size_t ResponseReader::head(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  const std::string_view head = bytes.substr(0, end + 2);
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) {
    state_ = State::kBroken;
    return 0;
  }
  std::from_chars(head.data() + 9, head.data() + 12, status_);
  const std::string_view length = header_of(head, "content-length");
  if (!length.empty()) {
    std::from_chars(length.data(), length.data() + length.size(), left_);
    state_ = left_ > 0 ? State::kLength : State::kDone;
  } else if (header_of(head, "transfer-encoding") == "chunked") {
    state_ = State::kChunkSize;
  } else {
    state_ = State::kBroken;
  }
  return end + 4;
}

std::size_t ResponseReader::line(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n");
  if (end == std::string_view::npos) return 0;
  if (state_ == State::kChunkSize) {
    left_ = 0;
    if (std::from_chars(bytes.data(), bytes.data() + end, left_, 16).ec != std::errc()) {
      state_ = State::kBroken;
      return 0;
    }
    state_ = left_ > 0 ? State::kChunk : State::kTrailer;
  } else if (state_ == State::kChunkEnd) {
    state_ = State::kChunkSize;
  } else if (end == 0) {
    state_ = State::kDone;
  }
  return end + 2;
}

int connect_local(std::uint16_t port) {
  sockaddr_in address;
  const int fd = local_socket(address, port);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

int listen_local(std::uint16_t port) {
  sockaddr_in address;
  const int fd = local_socket(address, port);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, 4096) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

std::uint16_t bound_port(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

int wait_for_events(int epoll, epoll_event* events, int capacity, std::int64_t timeout_ns) {
  const std::int64_t time = std::max<std::int64_t>(timeout_ns, 0);
  const timespec timeout{time / kSecond, time % kSecond};
  return ::epoll_pwait2(epoll, events, capacity, &timeout, nullptr);
}

}  // namespace asahi::bench
