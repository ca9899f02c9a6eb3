#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "jobs/queue.h"
#include "llm/embed/text_embedder.h"
#include "memory/ageing/runs.h"
#include "memory/model/store.h"
#include "net/background.h"
#include "net/loop.h"
#include "telemetry/metrics.h"

namespace asahi::memory::ageing {

struct ReembeddingOptions {
  std::size_t batch = 64;        ///< memories that get vectors at a time
  std::size_t per_second = 500;  ///< memories in a second, at most
  /// A run goes on for so long, then others have their turn.
  std::chrono::milliseconds turn{10'000};
  std::chrono::milliseconds poll{2'000};  ///< how soon a run that was asked for begins
  std::chrono::milliseconds embed_timeout{60'000};
};

/// Gives memories new vectors whose vectors are another model's than the embedder's, or that have
/// none (spec/memory §3.7): until then searches find them by their words only. Hot memories are
/// embedded by their text, warm ones by what is left of it; cold ones keep what they have. All else
/// of a memory stays: key, times, hash, duplicates.
///
/// Runs begin when asked for and are jobs of the one queue; what is left to do stands in the rows
/// themselves, so a run that died goes on where it was. Between two batches it rests for as long as
/// the last one took, at least. A row is being embedded or moved (MoveGate), never both.
///
/// | Name | Type; labels |
/// |---|---|
/// | akosha_reembedded_total | counter; tier |
/// | akosha_embedding_other_model_records | gauge; tier: vectors that searches do not meet |
class Reembedding {
 public:
  /// All outlive it.
  struct Parts {
    std::vector<Store*> stores;  ///< hot, warm: those that there are
    llm::TextEmbedder& embedder;
    sql::Database& database;
    net::Loop& loop;
    const Clock& clock;
    telemetry::Registry& metrics;
    /// Called with each tenant whose memories have other vectors now.
    std::function<Aw<void>(std::string tenant)> changed;
    /// Waits; empty: the loop does.
    std::function<Aw<void>(std::chrono::nanoseconds)> rest = {};
  };
  Reembedding(Parts parts, ReembeddingOptions options);
  ~Reembedding();

  /// From here on it carries runs out, also those that other processes were asked for.
  void start();
  /// Gives the run under way back. Ordinary thread, while the loop runs.
  void stop(std::chrono::milliseconds grace);

  struct Request {
    /// Also where vectors of a model would be replaced by vectors by hashing.
    bool downgrade = false;
  };
  /// Reads a body of POST /embeddings/reembed. Errors: invalid_argument naming the field.
  static Result<Request> parse(const json::object& body);
  /// Queues a run over the organisation's memories; one that has not ended is given instead of a
  /// second. Errors: conflict (vectors of a model would be replaced by vectors by hashing).
  Task<Run> request(std::string org_id, Request request);

  struct Status {
    std::string model;  ///< of the embedder
    /// Records by model, by tier; nothing: the tier did not answer.
    std::map<Tier, std::optional<std::map<std::string, std::uint64_t>>> models;
    std::uint64_t remaining = 0;  ///< records with another model's vector, or none
    std::optional<Run> run;       ///< the organisation's newest
  };
  Task<Status> status(std::string org_id);

 private:
  Task<void> carry_out(std::string id);
  Task<void> update(Run& run, const Result<bool>& ended);
  /// One turn of a run. True: nothing is left.
  Task<bool> turn(Run& run);
  /// How many were taken; 0: there are no more.
  Task<std::size_t> batch(Store& store, Run& run);
  Task<std::vector<NewVector>> vectors_for(const std::vector<Eligible>& rows);
  Aw<void> rest(std::chrono::nanoseconds took, std::size_t rows);
  Aw<void> watch(net::Background::Sleep sleep);

  const Parts parts_;
  const ReembeddingOptions options_;
  Logger logger_{"memory.reembedding"};
  Runs runs_;
  jobs::Queue queue_;
  jobs::Worker worker_;
  net::Background background_;  ///< `watch`, and marks of runs
};

json::object reembedding_json(const Reembedding::Status& status);

}  // namespace asahi::memory::ageing
