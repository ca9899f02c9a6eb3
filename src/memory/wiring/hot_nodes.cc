#include "memory/wiring/hot_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "memory/placement/ask_nodes.h"
#include "memory/placement/sharded_store.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

constexpr std::string_view kField = "memory.stores.hot_url";

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

/// One item of a list.
Result<HotAddress> parse_address(const std::string& field, std::string_view item,
                                 const remote::StoreSecrets& secrets) {
  HotAddress made;
  const std::size_t equals = item.find('=');
  if (equals != std::string_view::npos && equals < item.find("://")) {
    std::string_view name = item.substr(0, equals);
    item.remove_prefix(equals + 1);
    if (const std::size_t star = name.find('*'); star != std::string_view::npos) {
      const std::string_view weight = name.substr(star + 1);
      const auto end = weight.data() + weight.size();
      const auto [at, error] = std::from_chars(weight.data(), end, made.node.weight);
      if (error != std::errc{} || at != end)
        return fail_field(field, fmt::format("'{}' is no weight", weight.substr(0, 40)));
      name = name.substr(0, star);
    }
    made.node.name = name;
  }
  ASAHI_TRY(made.origin, remote::store_origin(field, std::string(item), secrets));
  if (made.node.name.empty())
    made.node.name = fmt::format("{}:{}", made.origin.host, made.origin.port);
  return made;
}

/// The nodes of a list and of the one before it, each once.
std::vector<HotAddress> all_of(const StorePlaces& places) {
  std::vector<HotAddress> all = places.hot.addresses;
  if (!places.hot_before) return all;
  for (const HotAddress& old : places.hot_before->addresses) {
    const bool known = std::ranges::any_of(
        all, [&](const HotAddress& each) { return each.node.name == old.node.name; });
    if (!known) all.push_back(old);
  }
  return all;
}

std::optional<Placement> placement_before(const StorePlaces& places) {
  if (!places.hot_before) return std::nullopt;
  if (places.hot_before->placement.to_string() == places.hot.placement.to_string())
    return std::nullopt;
  return places.hot_before->placement;
}

/// A lone node has everything, whatever it is called.
bool same(const Placement& a, const Placement& b) {
  return a.to_string() == b.to_string() || (a.nodes().size() == 1 && b.nodes().size() == 1);
}

std::unexpected<Error> misplaced(const std::string& why) {
  return fail_field(std::string(kField),
                    fmt::format("{}; 'asahi memory rebalance' brings memories where this list "
                                "expects them, and AKOSHA_HOT_URL_PREVIOUS (the list from before) "
                                "lets processes find them meanwhile",
                                why));
}

std::uint64_t rows_elsewhere(const std::string& node, const Placement& placement,
                             const std::vector<std::uint64_t>& counts) {
  std::uint64_t rows = 0;
  for (std::uint32_t shard = 0; shard < placement.shards() && shard < counts.size(); ++shard) {
    if (placement.owner_name(shard) != node) rows += counts[shard];
  }
  return rows;
}

}  // namespace

Result<HotList> parse_hot_list(const std::string& field, const std::string& text,
                               const remote::StoreSecrets& secrets) {
  std::vector<HotAddress> addresses;
  std::vector<Node> nodes;
  for (std::string_view rest = text; !trim(rest).empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    ASAHI_TRY(HotAddress address, parse_address(field, trim(rest.substr(0, comma)), secrets));
    nodes.push_back(address.node);
    addresses.push_back(std::move(address));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  auto placement = Placement::make(std::move(nodes));
  if (!placement) return fail_field(field, placement.error().message);
  return HotList{.addresses = std::move(addresses), .placement = std::move(*placement)};
}

Task<void> check_note(std::string node, Placement now, std::optional<Placement> before,
                      ShardRows& rows, PlacementKeeper& keeper) {
  ASAHI_CO_TRY(std::string text, co_await keeper.record());
  const PlacementNote wanted{.node = node, .now = now, .before = before};
  if (text.empty()) {
    if (!before) {
      ASAHI_CO_TRY(const std::vector<std::uint64_t> counts, co_await rows.shard_counts());
      if (const std::uint64_t elsewhere = rows_elsewhere(node, now, counts); elsewhere > 0) {
        co_return misplaced(
            fmt::format("{} has {} memories that others of the list should have", node, elsewhere));
      }
    }
  } else {
    ASAHI_CO_TRY(const PlacementNote note, PlacementNote::parse(text));
    if (same(note.now, now)) {
      if (note.before && !before) {
        co_return misplaced(fmt::format("a move of memories from the hot stores {} is not over yet",
                                        note.before->to_string()));
      }
      // It is over where the note says so; who looks in both places finds the same.
      if (note.now.to_string() == now.to_string() && note.node == node) co_return Result<void>{};
    } else if (!before || !same(note.now, *before)) {
      co_return misplaced(
          fmt::format("the memories of {} were placed for the hot stores {}, not {}", node,
                      note.now.to_string(), now.to_string()));
    }
  }
  const std::string next = wanted.to_string();
  auto written = co_await keeper.replace(std::move(text), next);
  if (!written) co_return std::unexpected(written.error());
  co_return Result<void>{};
}

namespace {

/// Errors: invalid_argument of the first node that has other notes; one that cannot be asked is
/// told to the log.
Result<void> check_notes(const std::vector<HotAddress>& addresses,
                         const std::vector<remote::RemoteStore*>& stores, const StorePlaces& places,
                         net::LoopPool& loops) {
  const std::optional<Placement> before = placement_before(places);
  std::vector<std::size_t> nodes(stores.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = i;
  const auto answers =
      net::run_sync<std::vector<Result<void>>>(loops.at(0), [&]() -> Aw<std::vector<Result<void>>> {
        co_return co_await ask_nodes<void>(nodes, [&](std::size_t i) {
          return check_note(addresses[i].node.name, places.hot.placement, before, *stores[i],
                            *stores[i]);
        });
      });
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i]) continue;
    if (answers[i].error().code == Errc::kInvalidArgument)
      return std::unexpected(answers[i].error());
    Logger("memory").warning(
        "a hot store was not asked whether the list is that of its memories",
        {{"node", addresses[i].node.name}, {"error", answers[i].error().message}});
  }
  return {};
}

/// A tier is there while one of its nodes is; the others are told of by name.
std::vector<Dependency> dependencies_of(const std::vector<HotAddress>& addresses,
                                        const std::vector<remote::RemoteStore*>& stores) {
  std::vector<Dependency> all;
  all.push_back({"hot", true, [stores]() -> Task<void> {
                   std::vector<std::size_t> nodes(stores.size());
                   for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = i;
                   auto answers = co_await ask_nodes<void>(
                       nodes, [&](std::size_t i) { return stores[i]->ping(); });
                   for (const auto& answer : answers) {
                     if (answer) co_return Result<void>{};
                   }
                   co_return std::unexpected(answers.front().error());
                 }});
  for (std::size_t i = 0; i < stores.size(); ++i) {
    all.push_back({"hot/" + addresses[i].node.name, false,
                   [store = stores[i]]() -> Task<void> { return store->ping(); }});
  }
  return all;
}

}  // namespace

Result<HotNodes> connect_hot(const MemoryConfig& config, const StorePlaces& places,
                             net::LoopPool& loops, const Clock& clock) {
  const std::vector<HotAddress> addresses = all_of(places);
  std::vector<ShardedStore::Part> parts;
  std::vector<remote::RemoteStore*> stores;
  for (const HotAddress& address : addresses) {
    auto store = connect_store(Tier::kHot, address.origin, places, loops, clock);
    stores.push_back(store.get());
    parts.push_back({.name = address.node.name, .store = std::move(store)});
  }
  HotNodes nodes;
  nodes.stores = stores;
  if (auto ok = check_notes(addresses, stores, places, loops); !ok) {
    // Their connections are those of that loop.
    net::run_sync<bool>(loops.at(0), [&]() -> Aw<bool> {
      parts.clear();
      co_return true;
    });
    return std::unexpected(ok.error());
  }
  if (parts.size() == 1) {
    nodes.store = std::move(parts.front().store);
    nodes.dependencies = {answers(*nodes.store)};
    return nodes;
  }
  nodes.dependencies = dependencies_of(addresses, stores);
  ASAHI_TRY(
      nodes.store,
      ShardedStore::make(places.hot.placement, placement_before(places), std::move(parts),
                         {.tier = Tier::kHot,
                          .patience = std::chrono::seconds(config.query.shard_timeout_seconds)}));
  return nodes;
}

Result<Rebalanced> rebalance_hot(const MemoryConfig& config, net::LoopPool& loops,
                                 const Clock& clock, bool dry_run,
                                 std::function<void(const Rebalanced&)> progress) {
  ASAHI_TRY(const StorePlaces places, store_places(config));
  std::vector<std::unique_ptr<remote::RemoteStore>> stores;
  std::vector<RebalanceNode> nodes;
  for (const HotAddress& address : all_of(places)) {
    auto& store =
        *stores.emplace_back(connect_store(Tier::kHot, address.origin, places, loops, clock));
    nodes.push_back({.name = address.node.name, .store = store, .rows = store, .keeper = store});
  }
  Rebalance rebalance(places.hot.placement, std::move(nodes), {.progress = std::move(progress)});
  auto done = net::run_sync<Result<Rebalanced>>(loops.at(0), [&]() -> Task<Rebalanced> {
    if (dry_run) co_return co_await rebalance.look();
    co_return co_await rebalance.run();
  });
  // Connections end on their loops.
  net::run_sync<bool>(loops.at(0), [&]() -> Aw<bool> {
    stores.clear();
    co_return true;
  });
  return done;
}

}  // namespace asahi::memory
