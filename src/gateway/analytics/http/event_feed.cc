#include "gateway/analytics/http/event_feed.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "gateway/analytics/http/replies.h"

namespace asahi::gateway::analytics {
namespace {

constexpr std::size_t kMostModels = 20;

}  // namespace

struct EventFeed::Client::Shared {
  Shared(Wish w, net::Loop& l, const Clock& c) : wish(std::move(w)), loop(l), clock(c) {
    waiting.summary.from = clock.now();
  }

  const Wish wish;
  net::Loop& loop;
  const Clock& clock;
  net::Event* event = nullptr;  ///< touched on the loop's thread only; null: the client is gone

  std::mutex mutex;
  News waiting;
  double sampled = 0;
  bool told = false;  ///< a wake-up is on its way
};

/// Who is there. Clients hold it too: a connection may outlive the feed for a moment.
struct EventFeed::Room {
  using Clients = std::vector<std::shared_ptr<Client::Shared>>;

  explicit Room(const Clock& c) : clock(c) {}

  void leave(const std::shared_ptr<Client::Shared>& client) {
    const std::scoped_lock lock(mutex);
    const auto own = by_org.find(client->wish.org_id);
    if (own == by_org.end() || std::erase(own->second, client) == 0) return;
    if (own->second.empty()) by_org.erase(own);
    --count;
  }

  const Clock& clock;
  std::atomic<std::size_t> count{0};
  std::mutex mutex;
  bool closed = false;
  std::unordered_map<std::string, Clients> by_org;
};

EventFeed::Client::Client(std::shared_ptr<Room> room, std::shared_ptr<Shared> shared,
                          net::Loop& loop)
    : room_(std::move(room)), shared_(std::move(shared)), news_(loop) {
  shared_->event = &news_;
}

EventFeed::Client::~Client() {
  shared_->event = nullptr;
  room_->leave(shared_);
}

EventFeed::News EventFeed::Client::take() {
  const std::scoped_lock lock(shared_->mutex);
  shared_->told = false;
  News news = std::exchange(shared_->waiting, {});
  shared_->waiting.closed = news.closed;
  shared_->waiting.summary.from = shared_->clock.now();
  return news;
}

bool EventFeed::Client::closed() const {
  const std::scoped_lock lock(shared_->mutex);
  return shared_->waiting.closed;
}

EventFeed::EventFeed(Options options, const Clock& clock)
    : options_(options), room_(std::make_shared<Room>(clock)) {}

std::size_t EventFeed::clients() const { return room_->count.load(std::memory_order_relaxed); }

Result<std::unique_ptr<EventFeed::Client>> EventFeed::join(Wish wish, net::Loop& loop) {
  auto shared = std::make_shared<Client::Shared>(std::move(wish), loop, room_->clock);
  {
    const std::scoped_lock lock(room_->mutex);
    constexpr std::chrono::seconds kSoon(30);
    const auto own = room_->by_org.find(shared->wish.org_id);
    if (own != room_->by_org.end() && own->second.size() >= options_.max_clients_of_org) {
      auto refused = fail(Errc::kRateLimited,
                          fmt::format("{} live streams of this organisation are open, as many as "
                                      "may be; close one",
                                      own->second.size()));
      refused.error().retry_after = kSoon;
      return refused;
    }
    if (room_->closed || room_->count >= options_.max_clients) {
      auto refused =
          fail(Errc::kUnavailable, room_->closed ? "the server is stopping"
                                                 : "too many live streams are open; try later");
      refused.error().retry_after = kSoon;
      return refused;
    }
    room_->by_org[shared->wish.org_id].push_back(shared);
    ++room_->count;
  }
  return std::unique_ptr<Client>(new Client(room_, std::move(shared), loop));
}

void EventFeed::publish(const InferenceEvent& event) {
  if (room_->count.load(std::memory_order_relaxed) == 0) return;
  const std::scoped_lock lock(room_->mutex);
  const auto own = room_->by_org.find(event.org_id);
  if (own == room_->by_org.end()) return;
  std::shared_ptr<const std::string> written;
  for (const auto& client : own->second) {
    const Wish& wish = client->wish;
    if (!wish.model.empty() && wish.model != event.model_selected) continue;
    const std::scoped_lock client_lock(client->mutex);
    News& waiting = client->waiting;
    if (wish.summaries) {
      waiting.summary.sums.add(event);
      auto& models = waiting.summary.requests_by_model;
      const bool known = models.contains(event.model_selected) || models.size() < kMostModels;
      ++models[known ? event.model_selected : "other"];
      continue;
    }
    client->sampled += wish.sample;
    if (client->sampled < 1) continue;
    client->sampled -= 1;
    if (waiting.events.size() >= options_.queue) {
      ++waiting.dropped;
    } else {
      if (written == nullptr)
        written = std::make_shared<const std::string>(write_json(event_json(event)));
      waiting.events.push_back(written);
    }
    if (std::exchange(client->told, true)) continue;
    client->loop.post([client] {
      if (client->event != nullptr) client->event->set();
    });
  }
}

void EventFeed::close() {
  const std::scoped_lock lock(room_->mutex);
  room_->closed = true;
  for (auto& [org, clients] : room_->by_org) {
    for (const auto& client : clients) {
      {
        const std::scoped_lock client_lock(client->mutex);
        client->waiting.closed = true;
      }
      client->loop.post([client] {
        if (client->event != nullptr) client->event->set();
      });
    }
  }
}

}  // namespace asahi::gateway::analytics
