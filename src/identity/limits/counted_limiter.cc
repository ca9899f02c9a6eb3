#include "identity/limits/counted_limiter.h"

#include <array>

namespace asahi::identity {
namespace {

constexpr std::size_t kScopes = 5;

class CountedLimiter final : public RateLimiter {
 public:
  CountedLimiter(std::unique_ptr<RateLimiter> limiter, telemetry::Registry& metrics)
      : limiter_(std::move(limiter)) {
    for (std::size_t i = 0; i < kScopes; ++i) {
      refused_[i] =
          &metrics.counter("asahi_rate_limited_total", "Requests refused for a limit per minute",
                           {{"scope", std::string(to_string(static_cast<LimitScope>(i)))}});
    }
  }

  std::string_view backend() const override { return limiter_->backend(); }
  std::optional<LimitVerdict> try_take(std::span<const Ask> asks) override {
    auto verdict = limiter_->try_take(asks);
    if (verdict && !verdict->allowed) count(*verdict);
    return verdict;
  }
  Aw<LimitVerdict> take(std::vector<Ask> asks) override {
    LimitVerdict verdict = co_await limiter_->take(std::move(asks));
    if (!verdict.allowed) count(verdict);
    co_return verdict;
  }
  void adjust(const Limit& limit, std::int64_t by, LimitStamp taken) override {
    limiter_->adjust(limit, by, taken);
  }

 private:
  void count(const LimitVerdict& verdict) {
    refused_[static_cast<std::size_t>(verdict.scope)]->add();
  }

  const std::unique_ptr<RateLimiter> limiter_;
  std::array<telemetry::Counter*, kScopes> refused_{};
};

static_assert(static_cast<std::size_t>(LimitScope::kModel) + 1 == kScopes);

}  // namespace

std::unique_ptr<RateLimiter> make_counted_limiter(std::unique_ptr<RateLimiter> limiter,
                                                  telemetry::Registry& metrics) {
  return std::make_unique<CountedLimiter>(std::move(limiter), metrics);
}

}  // namespace asahi::identity
