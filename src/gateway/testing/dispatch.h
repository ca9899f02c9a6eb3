#pragma once
// A dispatcher over scripted vendors, for its tests.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/dispatch/dispatcher.h"
#include "gateway/routing/testing/models.h"
#include "gateway/testing/loop.h"
#include "gateway/testing/scripted_vendors.h"

namespace asahi::gateway::testing {

/// Four vendors with one model each: small/north, mid/east, big/south, best/west. Retries without
/// pause: pauses that matter are asked for by the scripted vendor.
class DispatchTest : public ::testing::Test {
 protected:
  struct Done {
    Result<llm::ChatResponse> outcome = fail(Errc::kInternal, "not run");
    DispatchReport report;
  };

  DispatchTest() {
    options_.retry = {.max_attempts = 3,
                      .base = std::chrono::milliseconds(0),
                      .cap = std::chrono::milliseconds(0)};
    context_.request_id = "req_test";
    context_.deadline = clock_.steady_now() + std::chrono::hours(1);
    llm::Message message{.role = llm::Role::kUser};
    message.parts.emplace_back(llm::TextPart{.text = "hello there", .cache_control = {}});
    request_.messages.push_back(std::move(message));
  }

  /// The models in this order; any vendor's failure leads to the next.
  Plan plan_of(const std::vector<std::string>& models) const {
    Plan plan;
    plan.registry = registry_;
    for (const std::string& name : models) {
      plan.attempts.push_back({.model = registry_->get(name), .origin = {}, .triggers = {}});
      if (plan.attempts.size() > 1) {
        plan.attempts.back().triggers = {Trigger::kRateLimit, Trigger::kServerError,
                                         Trigger::kTimeout, Trigger::kNoKey};
      }
    }
    plan.decision.model = plan.attempts.front().model;
    return plan;
  }

  /// Made at first use, so that a test may change `options_` before.
  Dispatcher& dispatcher() {
    if (dispatcher_ == nullptr) {
      Dispatcher::Observer observer;
      observer.failed = [this](const std::string& provider) { failed_.push_back(provider); };
      observer.retried = [this](const std::string& provider) { retried_.push_back(provider); };
      observer.fell_back = [this](const std::string& from, const std::string& to) {
        fell_back_.push_back(from + ">" + to);
      };
      dispatcher_ = std::make_unique<Dispatcher>(options_, vendors_, clock_, std::move(observer));
    }
    return *dispatcher_;
  }
  void breaker_failures(int failures) { options_.breaker.failures = failures; }
  Breaker& breaker(const std::string& provider) { return dispatcher().breaker(provider); }
  Breaker::State state(const std::string& provider) {
    return breaker(provider).state(clock_.steady_now());
  }
  std::size_t calls_of(const std::string& provider) { return vendors_[provider].calls().size(); }

  DispatchCall call(Plan plan, CancelSource* cancel = nullptr) const {
    DispatchCall made{.request = request_, .plan = std::move(plan), .context = context_};
    made.context.cancel = cancel;
    made.own_keys = own_keys_;
    return made;
  }
  std::unique_ptr<Pending<Done>> start_chat(Plan plan) {
    return std::make_unique<Pending<Done>>(
        loops_, [this, &dispatcher = dispatcher(), plan](CancelSource& cancel) -> Aw<Done> {
          Done done;
          done.outcome = co_await dispatcher.chat(call(plan, &cancel), done.report);
          co_return done;
        });
  }
  Done chat(Plan plan) { return start_chat(std::move(plan))->get(); }
  Done chat(const std::vector<std::string>& models = {"small", "mid"}) {
    return chat(plan_of(models));
  }
  Result<llm::EmbeddingResponse> embed(llm::Embedder& embedder) {
    return Pending<Result<llm::EmbeddingResponse>>(
               loops_,
               [this, &embedder, &dispatcher = dispatcher()](CancelSource& cancel) {
                 return dispatcher.embed(embedder, "north", {}, context_.deadline, cancel);
               })
        .get();
  }

  Loops loops_;
  ManualClock clock_;
  ScriptedVendors vendors_;
  std::shared_ptr<const Registry> registry_ = testing_models::four_vendors();
  Dispatcher::Options options_;
  llm::CallContext context_;
  std::shared_ptr<const identity::OwnKeys::Keys> own_keys_;
  llm::ChatRequest request_;
  /// What the dispatcher told its observer; touched on the loop.
  std::vector<std::string> failed_, retried_, fell_back_;

 private:
  std::unique_ptr<Dispatcher> dispatcher_;
};

}  // namespace asahi::gateway::testing
