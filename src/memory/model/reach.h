#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "memory/model/query.h"
#include "memory/model/record.h"

namespace asahi::memory {

/// What somebody may see and change of the memory: one organisation's, and of it every system or
/// those that the credential names (claim `systems`, spec/memory §9.4).
///
/// Whatever is asked for a caller (a search, a push, the graph, the ledger, a kept reply) is asked
/// with one of these rather than with a tenant's name, and of a request there is one way to get it
/// (http/reach.h): a new route cannot forget it.
///
/// Who names a system beyond it is refused (forbidden, with the field); who names none sees its
/// own. What has an id of its own (a fact, a reply) is not found.
class Reach {
 public:
  /// Every system: what the process does for itself.
  static Reach whole(std::string tenant) { return Reach(std::move(tenant), std::nullopt); }
  /// `systems`: nothing is every one; an empty list none.
  Reach(std::string tenant, std::optional<std::vector<std::string>> systems);

  const std::string& tenant() const { return tenant_; }
  bool is_whole() const { return !systems_; }
  /// Sorted; nothing: every one.
  const std::optional<std::vector<std::string>>& systems() const { return systems_; }
  bool has(std::string_view system) const;

  /// Errors: forbidden, naming the field.
  Result<void> check(std::string_view system, std::string_view field = "system_id") const;
  /// The key of one memory. Errors: those of check_key; forbidden.
  Result<Key> key(std::string system_id, std::string conversation_id) const;
  /// Of a filter that a caller wrote: bounds it. Errors: forbidden (a system beyond).
  Result<void> bound(Filter& filter) const;
  /// For what is about all systems of the organisation at once. Errors: forbidden.
  Result<void> check_whole(std::string_view what) const;

  /// The same text for the same reach, another one for any other: for keys of what is kept.
  std::string name() const;
  /// Metadata without what names memories of others (`seen_in`).
  std::string visible_metadata(std::string metadata) const;

 private:
  std::string tenant_;
  std::optional<std::vector<std::string>> systems_;
};

}  // namespace asahi::memory
