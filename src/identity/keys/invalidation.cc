#include "identity/keys/invalidation.h"

#include "base/log.h"
#include "net/blocking.h"

namespace asahi::identity {

Invalidation::Invalidation(net::LoopPool& loops, std::shared_ptr<cache::RedisClients> redis)
    : loops_(loops), redis_(std::move(redis)) {}

Invalidation::~Invalidation() = default;

void Invalidation::start() {
  if (redis_ == nullptr) return;
  loops_.at(0).post([this] {
    subscription_ = redis_->at(0).subscribe(
        std::string(kChannel),
        [this](std::string_view payload) {
          const std::size_t colon = payload.find(':');
          if (colon == std::string_view::npos) return;
          tell(payload.substr(0, colon), payload.substr(colon + 1));
        },
        [this] {
          listening_.store(true, std::memory_order_relaxed);
          tell({}, {});
        });
  });
}

void Invalidation::stop() {
  if (redis_ == nullptr) return;
  (void)net::run_sync<bool>(loops_.at(0), [this]() -> Aw<bool> {
    subscription_.reset();
    co_return true;
  });
}

Aw<void> Invalidation::publish(std::string kind, std::string id) {
  tell(kind, id);
  if (redis_ == nullptr) co_return;
  const std::string payload = kind + ':' + id;
  auto sent = co_await redis_->local().run(cache::Command({"PUBLISH", kChannel, payload}));
  if (!sent) {
    Logger("identity")
        .warning("other processes were not told of a change; they find out within a minute",
                 {{"change", payload}, {"error", sent.error().message}});
  }
}

void Invalidation::tell(std::string_view kind, std::string_view id) const {
  for (const Listener& listener : listeners_) listener(kind, id);
}

}  // namespace asahi::identity
