#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/secret.h"
#include "net/http/client.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "storage/vector/index.h"
#include "storage/vector/local/local_index.h"

namespace asahi::vector {

/// `vector_db` of the configuration; names in messages are those there.
struct OpenOptions {
  /// "local" (or "inmemory"), "pinecone", "weaviate", "qdrant", "milvus", "postgres".
  std::string provider = "local";
  std::string index_name = "asahi-vectors";
  Secret api_key;  ///< what api_key_env names
  /// URL of the database; Pinecone: of the index, empty: found by name, and made if need be.
  std::string host;
  bool namespace_per_tenant = true;
  std::string region = "us-east-1";
  std::chrono::milliseconds timeout{2'000};
  Space space;
  /// Bounds, precision and efforts of the local index; its space and file are set here.
  LocalOptions local;
  /// Where the local index keeps its file; empty: it begins anew with the process.
  std::string folder;
  /// Where Pinecone makes and finds indexes.
  std::string pinecone_control = "https://api.pinecone.io";
};

struct OpenedIndex {
  std::unique_ptr<Index> index;
  /// The index, when it is the one in this process: for searches without suspending, and saves.
  LocalIndex* local = nullptr;
  /// A local index that could not take over its file (there is none, or it is damaged or of another
  /// model): fill it from what it was made of.
  bool begins_empty = false;
};

/// Opens the index that `provider` names; remote ones are reached on first use, ask `ping`.
/// `clients` and `database` outlive it; `database` may be null where PostgreSQL is not asked for.
/// Blocks while it reads the local file. Errors: invalid_argument with the field.
Result<OpenedIndex> open_index(OpenOptions options, net::PerLoop<http::Client>& clients,
                               sql::Database* database);

}  // namespace asahi::vector
