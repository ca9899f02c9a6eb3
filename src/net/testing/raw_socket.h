#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace asahi::net_testing {

/// A blocking TCP socket for tests that must say exactly which bytes go over the wire, from an
/// ordinary thread.
class RawSocket {
 public:
  /// Connects to 127.0.0.1.
  static RawSocket connect(std::uint16_t port);
  explicit RawSocket(int handle) : handle_(handle) {}
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&& other) noexcept;
  ~RawSocket();

  void send(std::string_view bytes);
  /// What arrives next; empty at the end, after a reset, and after `patience`.
  std::string receive(std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Reads until `bytes` have arrived (all read so far is returned), the end, or `patience` without
  /// any byte.
  std::string receive_until(std::string_view bytes,
                            std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// Reads to the end of the connection.
  std::string receive_all(std::chrono::milliseconds patience = std::chrono::seconds(5));
  /// True when the peer has closed (or reset), waiting at most `patience`; bytes before the end are
  /// dropped.
  bool closed_by_peer(std::chrono::milliseconds patience = std::chrono::seconds(5));
  void half_close();
  void close();
  /// Ends the connection with a reset instead of an orderly end.
  void reset();

 private:
  int handle_ = -1;
};

/// Listens on a free port of 127.0.0.1.
class RawListener {
 public:
  RawListener();
  ~RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;

  std::uint16_t port() const { return port_; }
  RawSocket accept();
  void close();

 private:
  int handle_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace asahi::net_testing
