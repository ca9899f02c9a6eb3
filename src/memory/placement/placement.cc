#include "memory/placement/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/hash.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kMaxName = 100, kMaxNodes = 1000;
constexpr double kMinWeight = 0.01, kMaxWeight = 100;
constexpr std::uint32_t kMaxShards = 65'536;

/// What the node draws for the shard, never 0 or 1: 53 bits of SHA-256 of "name/shard".
double draw(std::string_view node, std::uint32_t shard) {
  const Digest256 digest = sha256(fmt::format("{}/{}", node, shard));
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) bits = bits << 8 | digest[i];
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

bool is_name(std::string_view name) {
  constexpr std::string_view kMarks = "._:-";
  const auto good = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.contains(c);
  };
  return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, good);
}

Result<void> check_nodes(const std::vector<Node>& nodes) {
  if (nodes.empty() || nodes.size() > kMaxNodes)
    return fail_field("nodes",
                      fmt::format("{} of them; 1 to {} are possible", nodes.size(), kMaxNodes));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    if (!is_name(node.name)) {
      return fail_field("nodes", fmt::format("'{}' is no name: 1 to {} of [A-Za-z0-9._:-]",
                                             node.name.substr(0, kMaxName), kMaxName));
    }
    if (!(node.weight >= kMinWeight && node.weight <= kMaxWeight)) {
      return fail_field("nodes", fmt::format("the weight {} of {} must be {} to {}", node.weight,
                                             node.name, kMinWeight, kMaxWeight));
    }
    if (i > 0 && nodes[i - 1].name == node.name)
      return fail_field("nodes", fmt::format("{} stands there twice", node.name));
  }
  return {};
}

template <class T>
bool read_number(std::string_view text, T& out) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && at == end;
}

}  // namespace

Result<Placement> Placement::make(std::vector<Node> nodes, std::uint32_t shards) {
  std::ranges::sort(nodes, {}, &Node::name);
  if (auto ok = check_nodes(nodes); !ok) return std::unexpected(ok.error());
  if (shards < 1 || shards > kMaxShards)
    return fail_field("shards", fmt::format("{}; 1 to {} are possible", shards, kMaxShards));
  Placement made;
  made.nodes_ = std::move(nodes);
  made.owners_.resize(shards);
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    double best = -1;
    for (std::size_t node = 0; node < made.nodes_.size(); ++node) {
      const double score =
          -made.nodes_[node].weight / std::log(draw(made.nodes_[node].name, shard));
      if (score <= best) continue;
      best = score;
      made.owners_[shard] = node;
    }
  }
  return made;
}

std::string Placement::to_string() const {
  std::string out = fmt::format("{};", shards());
  for (const Node& node : nodes_) {
    if (out.back() != ';') out += ',';
    out += node.weight == 1 ? node.name : fmt::format("{}*{}", node.name, node.weight);
  }
  return out;
}

Result<Placement> Placement::parse(std::string_view text) {
  const auto refuse = [&] {
    return fail(Errc::kCorrupt, fmt::format("'{}' is no placement", text.substr(0, 200)));
  };
  const std::size_t at = text.find(';');
  std::uint32_t shards = 0;
  if (at == std::string_view::npos || !read_number(text.substr(0, at), shards)) return refuse();
  text.remove_prefix(at + 1);
  std::vector<Node> nodes;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    Node& node = nodes.emplace_back();
    if (const std::size_t star = item.find('*'); star != std::string_view::npos) {
      if (!read_number(item.substr(star + 1), node.weight)) return refuse();
      item = item.substr(0, star);
    }
    node.name = item;
  }
  return make(std::move(nodes), shards);
}

std::vector<ShardMove> moves_between(const Placement& before, const Placement& after) {
  std::vector<ShardMove> moves;
  for (std::uint32_t shard = 0; shard < before.shards() && shard < after.shards(); ++shard) {
    const std::string &from = before.owner_name(shard), &to = after.owner_name(shard);
    if (from != to) moves.push_back({shard, from, to});
  }
  return moves;
}

}  // namespace asahi::memory
