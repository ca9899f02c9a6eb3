#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/task.h"

namespace asahi::vector {

/// What a metadata field holds. Numbers are doubles: 3 and 3.0 are equal, integers beyond 2^53 are
/// not kept apart.
using Value = std::variant<bool, double, std::string>;

struct Field {
  std::string name;  ///< [A-Za-z][A-Za-z0-9_]{0,63}, not beginning with "asahi_"
  Value value;
  bool operator==(const Field&) const = default;
};
/// Flat, each name once.
using Metadata = std::vector<Field>;

struct Item {
  std::string id;             ///< 1 to 256 bytes of UTF-8 without control characters
  std::vector<float> vector;  ///< any length but zero: it is compared by direction only
  Metadata metadata;
};

struct Query {
  std::vector<float> vector;
  std::size_t top_k = 5;  ///< 1 to kMaxTopK
  /// Equalities that must all hold, on fields of Space::filter_fields.
  Metadata filter;
  bool with_metadata = true;
};

struct Hit {
  std::string id;
  float score = 0;  ///< cosine, in [-1, 1]
  Metadata metadata;
};

inline constexpr std::size_t kMaxTopK = 1000;
inline constexpr std::size_t kMaxDimensions = 8192;

/// What an index holds. Vectors of different models never meet: another model or width is another
/// collection, and begins empty.
struct Space {
  std::string model;           ///< whatever tells embedders apart, say "local-1"
  std::size_t dimensions = 0;  ///< 1 to kMaxDimensions
  /// The metadata fields that queries may filter on; a text in one is at most 1,024 bytes.
  std::vector<std::string> filter_fields;
};

/// Nearest neighbours by cosine, in this process or in a vector database: one contract suite runs
/// over all. Tenants share nothing: a query sees its tenant's items only. Callable from any loop.
/// Errors: invalid_argument (with the field), unavailable, timeout, rate_limited, upstream (the
/// database is away or in trouble: go on without it), too_large (bounds of the backend),
/// unauthenticated and forbidden (the key is refused).
class Index {
 public:
  virtual ~Index() = default;
  /// "local", "pinecone", "weaviate", "qdrant", "milvus" or "postgres".
  virtual std::string_view backend() const = 0;
  virtual const Space& space() const = 0;

  /// Adds items, or puts them in the place of those with the same id; of two with one id the last
  /// counts. Large batches are split: after an error some may be there.
  virtual Task<void> upsert(std::string tenant, std::vector<Item> items) = 0;
  /// At most `top_k`, best first. An unknown tenant has no items.
  virtual Task<std::vector<Hit>> query(std::string tenant, Query query) = 0;
  /// Unknown ids are no error.
  virtual Task<void> erase(std::string tenant, std::vector<std::string> ids) = 0;
  /// Everything that the filter matches; an empty filter is refused.
  virtual Task<void> erase_where(std::string tenant, Metadata filter) = 0;
  virtual Task<void> erase_all(std::string tenant) = 0;
  virtual Task<std::uint64_t> count(std::string tenant) = 0;
  /// A cheap round trip: is the backend there, and is the key good?
  virtual Task<void> ping() = 0;
};

}  // namespace asahi::vector
