#include "memory/placement/rebalance.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "memory/model/metadata.h"

namespace asahi::memory {
namespace {

/// No estimate of likeness reaches it: what moves is not linked anew.
constexpr double kNeverNear = 2;

enum class Verdict { kMoved, kKnown, kWrong };

Verdict judge(const ShardRow& row, UpsertOutcome outcome, const std::optional<Memory>& there) {
  if (!there) return Verdict::kWrong;
  const Memory& sent = row.memory;
  // Whatever is written goes to the new node: its version is the newer one.
  if (there->timestamp > sent.timestamp || outcome == UpsertOutcome::kOlder) return Verdict::kKnown;
  if (there->content_hash != sent.content_hash) return Verdict::kWrong;
  if (outcome == UpsertOutcome::kUnchanged) return Verdict::kKnown;
  const bool same = there->content == sent.content && there->timestamp == sent.timestamp &&
                    there->uploaded_at == sent.uploaded_at &&
                    same_metadata(sent.metadata, there->metadata);
  // A duplicate's vector is its owner's.
  const bool vectors = row.duplicate || (there->embedding == sent.embedding &&
                                         there->embedding_model == sent.embedding_model);
  if (same && vectors) return Verdict::kMoved;
  // A duplicate of that key was there, told anew since.
  return outcome == UpsertOutcome::kDuplicate ? Verdict::kKnown : Verdict::kWrong;
}

}  // namespace

Rebalance::Rebalance(Placement now, std::vector<RebalanceNode> nodes, Options options)
    : now_(std::move(now)), nodes_(std::move(nodes)), options_(std::move(options)) {
  for (std::uint32_t shard = 0; shard < now_.shards(); ++shard) {
    const auto at = std::ranges::find(nodes_, now_.owner_name(shard), &RebalanceNode::name);
    home_.push_back(static_cast<std::size_t>(at - nodes_.begin()));
  }
}

const RebalanceNode* Rebalance::find(const std::string& name) const {
  const auto at = std::ranges::find(nodes_, name, &RebalanceNode::name);
  return at == nodes_.end() ? nullptr : &*at;
}

ShardSet Rebalance::foreign_to(std::size_t node) const {
  ShardSet set(home_.size(), 0);
  for (std::size_t shard = 0; shard < set.size(); ++shard) set[shard] = home_[shard] != node;
  return set;
}

/// Writes down on all nodes that the move is under way, so that no process with another list writes
/// meanwhile.
Task<void> Rebalance::announce() {
  for (const Node& node : now_.nodes()) {
    if (find(node.name) == nullptr)
      co_return fail(Errc::kConflict, fmt::format("no address for the node {}", node.name));
  }
  std::vector<std::string> texts;
  std::vector<std::optional<PlacementNote>> notes;
  for (const RebalanceNode& node : nodes_) {
    ASAHI_CO_TRY(std::string text, co_await node.keeper.record());
    std::optional<PlacementNote> note;
    if (!text.empty()) {
      ASAHI_CO_TRY(note, PlacementNote::parse(text));
      for (const Placement* known : {&note->now, note->before ? &*note->before : nullptr}) {
        if (known == nullptr) continue;
        for (const Node& other : known->nodes()) {
          // A lone node is who it was under any name.
          if (find(other.name) != nullptr || known->nodes().size() == 1) continue;
          co_return fail(Errc::kConflict,
                         fmt::format("memories may lie on {}, which is in no list: name the list "
                                     "from before in AKOSHA_HOT_URL_PREVIOUS",
                                     other.name));
        }
      }
    }
    texts.push_back(std::move(text));
    notes.push_back(std::move(note));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    PlacementNote next{.node = nodes_[i].name, .now = now_, .before = {}};
    if (const auto& note = notes[i]) {
      next.before =
          note->now.to_string() == now_.to_string() ? note->before : std::optional(note->now);
    }
    ASAHI_CO_TRY([[maybe_unused]] const std::string written,
                 co_await nodes_[i].keeper.replace(texts[i], next.to_string()));
  }
  co_return Result<void>{};
}

Task<void> Rebalance::conclude() {
  const bool whole = sum_.errors == 0;
  Rebalanced left;
  ASAHI_CO_TRY(left, co_await look());
  if (!whole || left.moved > 0) {
    co_return fail(whole ? Errc::kUnavailable : Errc::kCorrupt,
                   fmt::format("{} memories lie on nodes that are not theirs still ({} copies were "
                               "not what they should be); run it again",
                               left.moved, sum_.errors));
  }
  for (const RebalanceNode& node : nodes_) {
    const bool stays =
        std::ranges::find(now_.nodes(), node.name, &Node::name) != now_.nodes().end();
    const std::string next =
        stays ? PlacementNote{.node = node.name, .now = now_, .before = {}}.to_string() : "";
    ASAHI_CO_TRY(std::string text, co_await node.keeper.record());
    ASAHI_CO_TRY([[maybe_unused]] const std::string written,
                 co_await node.keeper.replace(std::move(text), next));
  }
  co_return Result<void>{};
}

Task<Rebalanced> Rebalance::look() {
  Rebalanced found;
  std::vector<bool> moving(home_.size(), false);
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    ASAHI_CO_TRY(const std::vector<std::uint64_t> counts,
                 co_await nodes_[node].rows.shard_counts());
    for (std::size_t shard = 0; shard < home_.size() && shard < counts.size(); ++shard) {
      if (home_[shard] == node || counts[shard] == 0) continue;
      found.moved += counts[shard];
      moving[shard] = true;
    }
  }
  found.shards = static_cast<std::uint64_t>(std::ranges::count(moving, true));
  co_return found;
}

Task<Rebalanced> Rebalance::run() {
  sum_ = {};
  if (auto ok = co_await announce(); !ok) co_return std::unexpected(ok.error());
  ASAHI_CO_TRY(const Rebalanced before, co_await look());
  sum_.shards = before.shards;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (auto ok = co_await empty_node(node); !ok) co_return std::unexpected(ok.error());
  }
  if (auto ok = co_await conclude(); !ok) co_return std::unexpected(ok.error());
  co_return sum_;
}

Task<void> Rebalance::empty_node(std::size_t node) {
  const ShardSet foreign = foreign_to(node);
  Marks marks = Marks::kDrop;
  while (true) {
    ASAHI_CO_TRY(std::vector<ShardRow> rows,
                 co_await nodes_[node].rows.scan_shards(foreign, options_.batch, marks));
    marks = Marks::kKeep;
    if (rows.empty()) co_return Result<void>{};
    if (auto ok = co_await move(node, std::move(rows)); !ok) co_return ok;
    options_.progress(sum_);
  }
}

Task<void> Rebalance::move(std::size_t from, std::vector<ShardRow> rows) {
  std::map<std::size_t, std::vector<ShardRow>> by_home;
  std::vector<Key> keys;
  for (ShardRow& row : rows) {
    keys.push_back(row.memory.key);
    by_home[home_[shard_of(row.memory.key.system_id)]].push_back(std::move(row));
  }
  std::vector<std::pair<Key, Digest>> ending;
  std::optional<Error> failed;
  for (auto& [to, part] : by_home) {
    if (auto ok = co_await move_to(to, std::move(part), ending); !ok) {
      failed = ok.error();
      break;
    }
  }
  // What was not copied loses its mark.
  if (failed) {
    for (Key& key : keys) {
      if (std::ranges::find(ending, key, &std::pair<Key, Digest>::first) == ending.end())
        ending.emplace_back(std::move(key), Digest{});
    }
  }
  const auto going = static_cast<std::uint64_t>(
      std::ranges::count_if(ending, [](const auto& row) { return row.second != Digest{}; }));
  const auto gone = co_await nodes_[from].rows.delete_moved(std::move(ending));
  if (!gone) co_return std::unexpected(gone.error());
  sum_.changed += going - std::min(going, *gone);
  sum_.moved -= std::min(sum_.moved, going - std::min(going, *gone));
  if (failed) co_return std::unexpected(*failed);
  co_return Result<void>{};
}

Task<void> Rebalance::move_to(std::size_t to, std::vector<ShardRow> rows,
                              std::vector<std::pair<Key, Digest>>& ending) {
  Store& store = nodes_[to].store;
  // A row first, then what was a duplicate of it, which it is again over there.
  std::ranges::sort(rows, {}, &ShardRow::duplicate);
  std::vector<UpsertOutcome> outcomes;
  for (const bool duplicates : {false, true}) {
    std::vector<Memory> part;
    for (const ShardRow& row : rows) {
      if (row.duplicate == duplicates) part.push_back(row.memory);
    }
    if (part.empty()) continue;
    const std::size_t count = part.size();
    ASAHI_CO_TRY(
        const std::vector<UpsertOutcome> some,
        co_await store.upsert_batch(
            std::move(part), {.deduplicate = duplicates, .near_duplicate_threshold = kNeverNear}));
    if (some.size() != count)
      co_return fail(Errc::kUpstream, "a node told of other memories than it was given");
    outcomes.insert(outcomes.end(), some.begin(), some.end());
  }
  std::vector<Key> keys;
  for (const ShardRow& row : rows) keys.push_back(row.memory.key);
  ASAHI_CO_TRY(const auto there, co_await store.get(std::move(keys)));
  if (there.size() != rows.size())
    co_return fail(Errc::kUpstream, "a node told of other memories than it was asked for");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Digest ends = rows[i].checksum;
    switch (judge(rows[i], outcomes[i], there[i])) {
      case Verdict::kMoved:
        ++sum_.moved;
        break;
      case Verdict::kKnown:
        ++sum_.known;
        break;
      case Verdict::kWrong:
        ++sum_.errors;
        // No row's digest: it stays, and stays marked, so that this run does not take it again.
        ends.fill(0xff);
        Logger("memory.placement")
            .error("a copy differs from what it should be; the memory stays where it is",
                   {{"system_id", rows[i].memory.key.system_id},
                    {"conversation_id", rows[i].memory.key.conversation_id},
                    {"node", nodes_[to].name}});
        break;
    }
    ending.emplace_back(rows[i].memory.key, ends);
  }
  co_return Result<void>{};
}

}  // namespace asahi::memory
