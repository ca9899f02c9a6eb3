#include "net/http/router.h"

#include <array>
#include <stdexcept>
#include <unordered_map>

namespace asahi::http {
namespace {

constexpr std::size_t kMethods = 8;
using RouteTable = std::array<const Route*, kMethods>;

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
template <class Value>
using ByName = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

struct Node {
  ByName<std::unique_ptr<Node>> literals;
  std::unique_ptr<Node> any;  ///< {name}
  std::string any_name;
  std::string rest_name;  ///< {name...}
  RouteTable routes{};
  RouteTable rest_routes{};
};

std::pair<std::string_view, std::string_view> split_segment(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash)};
}

bool is_used(const RouteTable& table) {
  for (const Route* route : table) {
    if (route != nullptr) return true;
  }
  return false;
}

using Params = std::vector<std::pair<std::string_view, std::string>>;

/// Literal segments win over {name}, {name} over {rest...}; goes back where a choice leads nowhere.
/// `rest` begins with '/' or is empty.
const RouteTable* find(const Node& node, std::string_view rest, Params& params) {
  if (rest.empty()) return is_used(node.routes) ? &node.routes : nullptr;
  const auto [raw, tail] = split_segment(rest.substr(1));
  const auto decoded = percent_decode(raw);
  if (!decoded) return nullptr;
  if (const auto literal = node.literals.find(*decoded); literal != node.literals.end()) {
    if (const RouteTable* found = find(*literal->second, tail, params)) return found;
  }
  if (node.any && !decoded->empty()) {
    params.emplace_back(node.any_name, *decoded);
    if (const RouteTable* found = find(*node.any, tail, params)) return found;
    params.pop_back();
  }
  if (is_used(node.rest_routes)) {
    if (auto all = percent_decode(rest.substr(1))) {
      params.emplace_back(node.rest_name, *std::move(all));
      return &node.rest_routes;
    }
  }
  return nullptr;
}

}  // namespace

struct Router::Tree {
  std::vector<std::unique_ptr<Route>> all;
  Node root;
  /// Patterns without parameters, by whole path: the common case in one look-up.
  ByName<RouteTable> fixed;
};

Router::Router() : tree_(std::make_unique<Tree>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(Route route) {
  if (!route.pattern.starts_with('/') || route.method == Method::kOther) {
    throw std::logic_error("route pattern must begin with '/' and have a known method: " +
                           route.pattern);
  }
  tree_->all.push_back(std::make_unique<Route>(std::move(route)));
  const Route& added = *tree_->all.back();
  const auto put = [&added](RouteTable& table) {
    const Route*& slot = table[static_cast<std::size_t>(added.method)];
    if (slot != nullptr) throw std::logic_error("route defined twice: " + added.pattern);
    slot = &added;
  };
  Node* node = &tree_->root;
  std::string_view rest = added.pattern;
  while (!rest.empty()) {
    const auto [segment, tail] = split_segment(rest.substr(1));
    if (segment.starts_with('{') && segment.ends_with("...}")) {
      if (!tail.empty()) throw std::logic_error("{name...} must come last: " + added.pattern);
      node->rest_name = segment.substr(1, segment.size() - 5);
      put(node->rest_routes);
      return;
    }
    if (segment.starts_with('{') && segment.ends_with('}')) {
      const std::string_view name = segment.substr(1, segment.size() - 2);
      if (!node->any) {
        node->any = std::make_unique<Node>();
        node->any_name = name;
      } else if (node->any_name != name) {
        throw std::logic_error("two names for one path part: " + added.pattern);
      }
      node = node->any.get();
    } else {
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
    }
    rest = tail;
  }
  put(node->routes);
  if (added.pattern.find('{') == std::string::npos) put(tree_->fixed[added.pattern]);
}

Router::Match Router::match(Method method, std::string_view path) const {
  Match match;
  const RouteTable* table = nullptr;
  if (const auto fixed = tree_->fixed.find(path); fixed != tree_->fixed.end()) {
    table = &fixed->second;
  } else if (path.starts_with('/')) {
    table = find(tree_->root, path, match.params);
  }
  if (table == nullptr) return match;
  const auto route_for = [table](Method wanted) {
    return (*table)[static_cast<std::size_t>(wanted)];
  };
  match.route = route_for(method);
  if (match.route == nullptr && method == Method::kHead) match.route = route_for(Method::kGet);
  if (match.route != nullptr) return match;
  const auto allow = [&match](std::string_view name) {
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += name;
  };
  for (std::size_t i = 0; i < kMethods; ++i) {
    const auto each = static_cast<Method>(i);
    if (route_for(each) == nullptr) continue;
    allow(to_string(each));
    if (each == Method::kGet && route_for(Method::kHead) == nullptr) allow("HEAD");
  }
  if (route_for(Method::kOptions) == nullptr) allow("OPTIONS");
  return match;
}

std::vector<const Route*> Router::routes() const {
  std::vector<const Route*> routes;
  for (const auto& route : tree_->all) routes.push_back(route.get());
  return routes;
}

}  // namespace asahi::http
