#include "memory/search/tiers.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Chosen = std::array<bool, 3>;
using Pages = std::array<std::optional<Result<StorePage>>, 3>;

/// Lives until the slowest tier has answered, though nobody may wait for it any more.
struct Asked {
  explicit Asked(net::Loop& loop) : done(loop) {}
  net::Event done;
  Pages pages;
  Chosen given_up{};
  std::size_t waiting = 0;

  /// Nobody waits for this tier any more.
  void give_up(std::size_t tier) {
    if (pages[tier] || std::exchange(given_up[tier], true)) return;
    if (--waiting == 0) done.set();
  }
};

/// Their answers; nothing where one was late.
Aw<Pages> ask(const TierSources& sources, Chosen chosen, StoreQuery query, SteadyTime deadline) {
  net::Loop& loop = *net::Loop::current();
  auto asked = std::make_shared<Asked>(loop);
  std::vector<net::Loop::Deadline> timers;
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (!chosen[i]) continue;
    ++asked->waiting;
    const auto until = std::min(deadline, now + sources[i].patience);
    query.patience = std::chrono::duration_cast<std::chrono::milliseconds>(until - now);
    timers.push_back(loop.at(until, [asked, i] { asked->give_up(i); }));
    loop.spawn("search of a tier",
               [](std::shared_ptr<Asked> state, Store* store, StoreQuery asks,
                  std::size_t at) -> Aw<void> {
                 auto page = co_await store->search(std::move(asks));
                 if (state->given_up[at]) co_return;
                 state->pages[at] = std::move(page);
                 if (--state->waiting == 0) state->done.set();
               }(asked, sources[i].store, query, i));
  }
  if (asked->waiting > 0) co_await asked->done.wait();
  co_return std::move(asked->pages);
}

void take(TierAnswers& all, Tier tier, StorePage page) {
  all.searched.push_back(tier);
  all.total += page.total;
  add_facets(all.facets, page.facets);
  all.hits.push_back(std::move(page.hits));
  if (!page.partial) return;
  const std::string name(tier_name(tier));
  if (page.missing.empty()) all.partly.push_back(name);
  for (const std::string& node : page.missing) all.partly.push_back(name + "/" + node);
  Logger("memory.search")
      .warning("a tier could not look at everything",
               {{"tier", name},
                {"unread", page.unread.empty() ? "its time was over" : page.unread.front()}});
}

Error why(const std::optional<Result<StorePage>>& page, Tier tier) {
  if (page) return page->error();
  return {.code = Errc::kTimeout,
          .message = fmt::format("the {} tier did not answer in time", tier_name(tier))};
}

}  // namespace

std::optional<std::size_t> falls_to(const TierStates& tiers, HotFallback hot) {
  bool falls = false;  // some hotter tier has failed and may be stood in for
  for (std::size_t i = 0; i < tiers.asked.size(); ++i) {
    if (tiers.asked[i] && !tiers.failed[i]) return std::nullopt;
  }
  for (std::size_t i = 0; i < tiers.asked.size(); ++i) {
    if (falls && tiers.served[i] && !tiers.asked[i]) return i;
    const bool alone = i == static_cast<std::size_t>(Tier::kHot) && hot == HotFallback::kNone;
    falls = falls || (tiers.failed[i] && !alone);
  }
  return std::nullopt;
}

Task<TierAnswers> search_tiers(TierSources sources, StoreQuery query, HotFallback hot,
                               SteadyTime deadline) {
  TierAnswers all;
  TierStates states;
  Chosen chosen{};
  for (std::size_t i = 0; i < sources.size(); ++i) {
    states.served[i] = sources[i].store != nullptr;
    chosen[i] = states.served[i] && sources[i].wanted;
  }
  if (std::ranges::find(chosen, true) == chosen.end())
    co_return fail(Errc::kUnavailable, "none of the wanted tiers is served here");
  const Logger logger("memory.search");
  std::optional<Error> error;  // of the last that failed
  bool refused = false;        // a tier does not know this process: nobody may paper over that
  for (;;) {
    Pages pages = co_await ask(sources, chosen, query, deadline);
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!chosen[i]) continue;
      states.asked[i] = true;
      const Tier tier = sources[i].store->tier();
      if (pages[i] && *pages[i]) {
        take(all, tier, std::move(**pages[i]));
        continue;
      }
      states.failed[i] = true;
      all.failed.push_back(tier);
      error = why(pages[i], tier);
      refused = refused || error->code == Errc::kUnauthenticated || error->code == Errc::kForbidden;
      logger.warning("a tier is left out", {{"tier", tier_name(tier)}, {"error", error->message}});
    }
    // The question is at fault: a colder tier would say the same.
    if (all.searched.empty() && error->code == Errc::kInvalidArgument)
      co_return std::unexpected(std::move(*error));
    const auto next = falls_to(states, hot);
    if (refused || !next || std::chrono::steady_clock::now() >= deadline) break;
    chosen = {};
    chosen[*next] = true;
    logger.warning("no tier that was asked for answers; a colder one is asked",
                   {{"tier", tier_name(sources[*next].store->tier())}});
  }
  if (all.searched.empty()) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("no tier answered; the last said: {}", error->message));
  }
  co_return all;
}

}  // namespace asahi::memory
