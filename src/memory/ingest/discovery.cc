#include "memory/ingest/discovery.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "base/log.h"
#include "net/event.h"
#include "net/loop.h"

namespace asahi::memory {

namespace {

constexpr std::size_t kPage = 1'000;
constexpr std::string_view kRoot = "systems/";

const Logger& logger() {
  static const Logger instance("memory.ingest");
  return instance;
}

/// Runs `body` for 0 to count - 1, some at once, on this loop; back when all have ended.
Aw<void> in_parallel(std::size_t count, std::size_t at_once,
                     std::function<Aw<void>(std::size_t)> body) {
  struct State {
    explicit State(net::Loop& loop) : ended(loop) {}
    std::size_t next = 0;
    std::size_t running = 0;
    net::Event ended;
  };
  if (count == 0) co_return;
  net::Loop& loop = *net::Loop::current();
  const auto state = std::make_shared<State>(loop);
  state->running = std::min(count, std::max<std::size_t>(at_once, 1));
  for (std::size_t i = state->running; i > 0; --i) {
    loop.spawn("scan of the bucket", [state, count, &body]() -> Aw<void> {
      struct Ends {
        State& state;
        ~Ends() {
          if (--state.running == 0) state.ended.set();
        }
      } const ends{*state};
      while (state->next < count) co_await body(state->next++);
    });
  }
  co_await state->ended.wait();
}

}  // namespace

void Discovery::note(Found& found, const Error& error) {
  if (found.errors++ == 0) found.error = error.message;
}

Aw<std::vector<std::string>> Discovery::folders(std::string prefix, std::string& cursor,
                                                std::size_t most, Found& found) {
  std::vector<std::string> names;
  for (;;) {
    object::ListQuery query{.prefix = prefix, .after = cursor, .limit = kPage, .folders = true};
    auto page = co_await bucket_.list(std::move(query));
    if (!page) {
      // The cursor stays where the list broke off: the next scan goes on there.
      note(found, page.error());
      co_return names;
    }
    for (const std::string& folder : page->folders) {
      if (names.size() == most) {
        found.capped = true;
        cursor = prefix + names.back() + "/";
        co_return names;
      }
      names.push_back(folder.substr(prefix.size(), folder.size() - prefix.size() - 1));
    }
    cursor = page->next;
    if (cursor.empty()) co_return names;
  }
}

Aw<void> Discovery::scan_system(std::string system_id, UploadPriority priority, Found& found) {
  std::string label = "systems/" + system_id + "/";
  std::string cursor;
  if (const auto kept = cursors_.find(system_id); kept != cursors_.end()) cursor = kept->second;
  std::vector<std::string> names = co_await folders(label, cursor, options_.max_uploads, found);
  if (cursor.empty()) {
    cursors_.erase(system_id);
  } else {
    cursors_[system_id] = cursor;
  }
  found.uploads += names.size();
  found.bad_names += std::erase_if(
      names, [](const std::string& name) { return !check_upload_id(name) || name == "."; });
  auto unknown = co_await ledger_.unknown(options_.tenant, system_id, std::move(names));
  if (!unknown) {
    note(found, unknown.error());
    co_return;
  }
  std::vector<UploadId> complete;
  co_await in_parallel(unknown->size(), options_.at_once, [&](std::size_t i) -> Aw<void> {
    const std::string upload = (*unknown)[i];
    const auto manifest = co_await bucket_.head(label + upload + "/manifest.json");
    if (!manifest) {
      note(found, manifest.error());
    } else if (*manifest) {
      complete.push_back({options_.tenant, system_id, upload});
    } else {
      ++found.waiting;
    }
  });
  // Oldest first as far as names tell: rows of one scan share their time.
  std::ranges::sort(complete);
  const auto made = co_await ledger_.discover(std::move(complete), priority);
  if (made) {
    found.discovered += *made;
  } else {
    note(found, made.error());
  }
}

Aw<Discovery::Found> Discovery::scan(UploadPriority priority, std::vector<std::string> only) {
  Found found;
  std::vector<std::string> systems = std::move(only);
  if (systems.empty())
    systems = co_await folders(std::string(kRoot), system_cursor_, options_.max_systems, found);
  found.bad_names +=
      std::erase_if(systems, [](const std::string& name) { return !check_system_id(name); });
  found.systems = systems.size();
  co_await in_parallel(systems.size(), options_.at_once, [&](std::size_t i) -> Aw<void> {
    co_await scan_system(systems[i], priority, found);
  });
  if (found.capped)
    logger().warning("the bucket holds more than one scan takes; the next one goes on",
                     {{"systems", found.systems}, {"uploads", found.uploads}});
  co_return found;
}

Task<bool> Discovery::notice(std::string key, UploadPriority priority) {
  ASAHI_CO_TRY(const BundlePlace place, parse_bundle_prefix(key));
  ASAHI_CO_TRY(const auto manifest, co_await bucket_.head(bundle_prefix(place) + "manifest.json"));
  if (!manifest) co_return false;
  std::vector<UploadId> one;
  one.push_back({options_.tenant, place.system_id, place.upload_id});
  ASAHI_CO_TRY(const auto made, co_await ledger_.discover(std::move(one), priority));
  co_return made > 0;
}

}  // namespace asahi::memory
