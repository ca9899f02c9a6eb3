#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "memory/events/hub.h"

namespace asahi::memory {

/// Who listens on a connection, as far as the protocol needs to know.
struct Listener {
  Reach reach;
  bool may_read = false;  ///< query:search: the channels and what was found of late
};

/// One connection's side of the protocol of spec/memory §2.5: frames in, frames out, no I/O. One
/// thread.
///
/// Frames are JSON objects {id, correlation_id, type, event, data, timestamp, room, error_code,
/// error_message}, of which only what applies is sent. The first frame of a connection that needs
/// it is {"type": "request", "event": "auth", "data": {"token"}}.
class LiveProtocol {
 public:
  struct Options {
    std::string connection_id;
    std::string server;  ///< "akosha 0.9.0"
    bool secure = false;
    int messages_per_second = 100;  ///< beyond: refused; beyond twice as many: closed
  };
  /// What the connection has to do, in this order.
  struct Actions {
    std::vector<std::string> frames;
    std::optional<std::string> authenticate;  ///< this token, and tell `authenticated`
    std::optional<std::pair<std::uint16_t, std::string>> close;
  };

  /// `hub`, `clock` outlive it. `join` makes the subscriber once it is known who listens.
  using Join = std::function<std::unique_ptr<Hub::Subscriber>(const Reach& reach)>;
  LiveProtocol(Hub& hub, const Clock& clock, Join join, Options options);

  /// What to say first. `known`: who connected with a credential, or anybody where none is needed.
  Actions start(std::optional<Listener> known);
  Actions receive(std::string_view text);
  /// Nothing: the token was refused.
  Actions authenticated(std::optional<Listener> listener);
  /// Nobody has said who they are in time.
  Actions waited_too_long();
  /// The credential holds no longer.
  Actions expired();
  /// Events that wait, as frames.
  std::vector<std::string> events();

  bool is_authenticated() const { return listener_.has_value(); }

 private:
  Actions request(const json::object& frame, const std::string& event, const std::string& id);
  Actions subscribe(const json::object& frame, const std::string& id, bool on);
  Actions recent(const json::object& frame, const std::string& event, const std::string& id);
  std::string frame(std::string_view type, std::string_view event, const std::string& correlation,
                    json::object data) const;
  std::string error(const std::string& correlation, std::string_view code,
                    std::string_view message) const;
  bool too_many(Actions& actions);

  Hub& hub_;
  const Clock& clock_;
  const Join join_;
  const Options options_;
  std::optional<Listener> listener_;
  std::unique_ptr<Hub::Subscriber> subscriber_;
  std::string auth_id_;
  bool asked_ = false;  ///< a token is being looked at
  Clock::Steady second_{};
  int messages_ = 0;
};

}  // namespace asahi::memory
