#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/secret.h"
#include "memory/hot/engine.h"
#include "memory/knowledge/feed.h"
#include "memory/model/store.h"

namespace asahi::memory::swap {

/// Where a hot tier is kept, without secrets: the address of a server is named by where it stands.
struct Place {
  std::string backend = "duckdb-ssd";  ///< a value of memory.hot.backend
  std::string path = {};               ///< of this process's own log: a folder, or ":memory:"
  /// pgvector: a file that holds the URL, or a variable of the environment. Both empty:
  /// `memory.hot.pg_url`, or the server's own database.
  std::string url_file = {}, url_env = {};
  bool operator==(const Place&) const = default;

  bool in_memory() const { return backend != "pgvector" && path == ":memory:"; }
  json::object to_json() const;
  /// For people: "pgvector (memory.hot.pg_url)".
  std::string text() const;
};

/// What Place::to_json wrote. Errors: corrupt.
Result<Place> read_place(std::string_view text);
/// `backend`, `path`, `pg_url_file` and `pg_url_env` of a request; others are not looked at.
/// `usual_path`: where the own log is when no path is given. Errors: invalid_argument naming the
/// field; an address in the clear is refused and not shown.
Result<Place> parse_place(const json::object& body, const std::string& usual_path);
/// One of the two folders is the other, or lies in it; by their names, whether they are there or
/// not.
bool overlap(const std::string& folder, const std::string& other);
/// The URL that a file or a variable holds; blocking. Empty: the place names none. Errors:
/// invalid_argument (there is none, or it is no URL of PostgreSQL; it is not shown).
Result<Secret> read_url(const Place& place);

/// A hot tier that is open. Nobody asks it any more when it goes; that may wait for the disk.
struct Backend {
  Place place;
  std::unique_ptr<Store> store;
  std::unique_ptr<knowledge::MemoryFeed> feed;  ///< of the store's writings
  std::function<bool()> pressed;                ///< empty: never
  std::function<hot::EngineStats()> engine;     ///< empty: it has no engine here
};
using SharedBackend = std::shared_ptr<Backend>;

}  // namespace asahi::memory::swap
