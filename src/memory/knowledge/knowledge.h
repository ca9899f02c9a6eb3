#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/task.h"
#include "memory/knowledge/graph_store.h"
#include "memory/knowledge/series_store.h"
#include "memory/model/reach.h"
#include "memory/model/record.h"
#include "net/blocking.h"
#include "telemetry/metrics.h"

namespace asahi::memory::knowledge {

class Adjacency;
class Knowledge;

/// One question with its answer (graph_questions.h, series_questions.h), the same for HTTP and MCP.
/// `reach`: whose, and what of it is seen and changed. Blocking. Errors: invalid_argument with the
/// field, forbidden (a system beyond reach), and those of the stores.
using Question = Result<json::object> (*)(Knowledge& knowledge, const Reach& reach,
                                          const json::object& arguments);

/// Graph and series to ask from coroutines: questions run on a pool of their own, a bounded number
/// of them, and costly answers are kept until the tenant's graph changes. Any loop.
class Knowledge {
 public:
  struct Options {
    std::size_t threads = 2;
    std::size_t most_waiting = 256;        ///< questions; more: unavailable
    std::size_t most_answers = 256;        ///< kept
    std::chrono::seconds answer_life{60};  ///< facts begin and end without a change
    /// What communities, components and centralities take on; more: too_large.
    std::size_t most_entities = 250'000, most_edges = 2'000'000;
    series::Retention series_kept = {};
    /// Neighbours from a cache that processes share, where the graph is not in memory here; null:
    /// it is loaded. Outlives it.
    Adjacency* adjacency = nullptr;
  };
  Knowledge(sql::Database& db, const Clock& clock, telemetry::Registry& metrics,
            GraphStore::Options graph, Options options);
  ~Knowledge();

  /// `kind` names it in metrics.
  Task<json::object> ask(std::string_view kind, Question question, Reach reach,
                         json::object arguments);
  /// How many facts went with the memory, or the system's memories.
  Task<std::size_t> forget(Key key);
  Task<std::size_t> forget_system(std::string tenant, std::string system_id);
  /// `work` returns a Result. On the pool.
  template <class Work>
  Aw<std::invoke_result_t<Work>> run(Work work) {
    if (waiting_.fetch_add(1) >= options_.most_waiting) {
      waiting_.fetch_sub(1);
      co_return busy();
    }
    co_return co_await net::run_blocking(pool_, [this, work = std::move(work)]() mutable {
      auto out = work();
      waiting_.fetch_sub(1);
      return out;
    });
  }

  GraphStore& graph() { return graph_; }
  SeriesStore& series() { return series_; }
  const Clock& clock() const { return clock_; }
  const Options& options() const { return options_; }

  /// The answer that was made for this key, epoch included, of late; else `make`s it.
  Result<json::object> answer(const std::string& key,
                              const std::function<Result<json::object>()>& make);

 private:
  struct Kept {
    json::object answer;
    Clock::Steady until;
    std::list<std::string>::iterator place;
  };
  std::unexpected<Error> busy() const;
  /// `neighbours` with as little of the graph as will do.
  Task<json::object> ask_around(Reach reach, json::object arguments);

  const Clock& clock_;
  telemetry::Registry& metrics_;
  const Options options_;
  GraphStore graph_;
  SeriesStore series_;
  std::mutex mutex_;
  std::map<std::string, Kept> answers_;
  std::list<std::string> order_;  ///< oldest first
  std::atomic<std::size_t> waiting_{0};
  boost::asio::thread_pool pool_;
};

}  // namespace asahi::memory::knowledge
