#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/analytics/sums.h"
#include "gateway/events/event.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::gateway::analytics {

/// Shows events to those who watch them live. `publish` is an observer of the EventRecorder: while
/// nobody watches it costs a load. Each client has a bounded queue; what does not fit is counted
/// and told to the client. Clients run on their loops, `publish` on the writer's thread.
class EventFeed {
  struct Room;

 public:
  struct Options {
    std::size_t queue = 100;  ///< events per client
    std::size_t max_clients = 256;
    std::size_t max_clients_of_org = 32;
  };
  struct Wish {
    std::string org_id;
    std::string model;       ///< empty: all
    double sample = 1;       ///< share of the events, above 0, up to 1
    bool summaries = false;  ///< sums in place of events
  };
  /// What happened since the summary before.
  struct Summary {
    Clock::Time from{};
    Sums sums;
    std::map<std::string, std::int64_t> requests_by_model;
  };
  /// What a client has not seen yet.
  struct News {
    std::vector<std::shared_ptr<const std::string>> events;  ///< JSON
    std::uint64_t dropped = 0;
    Summary summary;  ///< only with `summaries`
    bool closed = false;
  };

  /// One who watches, until destroyed; may outlive the feed. Belongs to its loop.
  class Client {
   public:
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    /// Set when there is something to take. With `summaries` only on closing.
    net::Event& news() { return news_; }
    News take();
    bool closed() const;

   private:
    friend class EventFeed;
    struct Shared;
    Client(std::shared_ptr<Room> room, std::shared_ptr<Shared> shared, net::Loop& loop);
    std::shared_ptr<Room> room_;
    std::shared_ptr<Shared> shared_;
    net::Event news_;
  };

  EventFeed(Options options, const Clock& clock);

  /// Errors: rate_limited with so many clients of the organisation, unavailable with so many in all
  /// or after `close`. On the loop's thread.
  Result<std::unique_ptr<Client>> join(Wish wish, net::Loop& loop);
  void publish(const InferenceEvent& event);
  /// Tells every client to go; nobody joins any more. Any thread.
  void close();
  std::size_t clients() const;

 private:
  Options options_;
  std::shared_ptr<Room> room_;
};

}  // namespace asahi::gateway::analytics
