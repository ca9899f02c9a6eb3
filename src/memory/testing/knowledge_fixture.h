#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "memory/graph/sight.h"
#include "memory/knowledge/graph_rows.h"
#include "memory/knowledge/graph_store.h"
#include "memory/knowledge/series_store.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::memory::testing {

/// An empty database with the tables of graph and series, on each engine.
class KnowledgeContract : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(knowledge::migrations())) return;
    graph_ = store();
    series_ =
        std::make_unique<knowledge::SeriesStore>(*db_, clock_, knowledge::SeriesStore::Options{});
  }
  void TearDown() override {
    series_.reset();
    graph_.reset();
    db_.reset();
  }

  /// Another process's view of the same rows.
  std::unique_ptr<knowledge::GraphStore> store(knowledge::GraphStore::Options options = {}) {
    return std::make_unique<knowledge::GraphStore>(*db_, clock_, options);
  }
  /// "type:key" of all neighbours with the type of the edge, sorted by weight.
  std::vector<std::string> around(knowledge::GraphStore& store, const std::string& tenant,
                                  const std::string& entity,
                                  graph::Time recorded = graph::kForever) {
    auto found =
        store.read(tenant, [&](const graph::Graph& graph) -> Result<std::vector<std::string>> {
          std::vector<std::string> out;
          const graph::View view{.valid_at = clock_.now(), .recorded_at = recorded};
          for (const auto& each : graph::Sight(graph, view).neighbours(entity, "", 100).list)
            out.push_back(each.edge_type + " " + each.id);
          return out;
        });
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(std::vector<std::string>{});
  }
  /// All that a graph holds, as text: equal graphs give equal texts.
  std::string all_of(knowledge::GraphStore& store, const std::string& tenant) {
    auto text = store.read(tenant, [&](const graph::Graph& graph) -> Result<std::string> {
      std::vector<std::string> lines;
      graph.snapshot([&](const graph::Change& change) { lines.push_back(encode(change)); });
      std::ranges::sort(lines);
      std::string out;
      for (const std::string& line : lines) out += line + "\n";
      return out;
    });
    EXPECT_TRUE(text) << text.error().message;
    return text.value_or("");
  }

  ManualClock clock_;
  std::unique_ptr<knowledge::GraphStore> graph_;
  std::unique_ptr<knowledge::SeriesStore> series_;
};

}  // namespace asahi::memory::testing
