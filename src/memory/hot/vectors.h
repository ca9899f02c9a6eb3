#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/vector/local/blocks.h"
#include "storage/vector/local/local_index.h"

namespace asahi::memory::hot {

struct VectorOptions {
  /// With fewer vectors there is no graph: all are compared one by one.
  std::size_t exact_rows = 20'000;
  std::size_t search_effort = 64;
  std::size_t build_effort = 128;
  /// Where `save` writes before the file gets its name; empty: there is no saving.
  std::string scratch_file;
};

/// One tenant's vectors of one model, by slot: a byte a number for comparing one by one, and a
/// graph of those that the linking thread got to. What is not yet linked is compared one by one, so
/// that it is found at once.
///
/// `put` is the writer's, of slots that no reader looks at; `list`, `unlink`, `begin_graph` and
/// `done` need readers kept out; `link` and `save` are the linking thread's.
class VectorSet {
 public:
  VectorSet(std::string model, std::size_t dimensions, VectorOptions options);

  const std::string& model() const { return model_; }
  std::size_t dimensions() const { return dimensions_; }

  /// A vector as it is compared; may be worked out beforehand, on any thread.
  struct Code {
    std::vector<std::int8_t> numbers;  ///< empty: all zero, or not finite: nothing to compare
    float scale = 0;
  };
  static Code encode(std::span<const float> vector);

  /// False: there is nothing to compare.
  bool put(std::uint32_t slot, const Code& code);
  bool put(std::uint32_t slot, std::span<const float> vector) { return put(slot, encode(vector)); }
  /// The slot may be found from now on; `sequence` tells this use of it from others.
  void list(std::uint32_t slot, std::uint64_t sequence);
  void unlink(std::uint32_t slot, std::uint64_t sequence);

  struct Candidate {
    float similarity;  ///< of a byte a number
    std::uint32_t slot;
  };
  /// Up to `wanted` of the nearest, best first. `visible` and `allowed`: a byte per slot; `allowed`
  /// with how many there are, or null: all visible. Slots may stand there twice, and may hold
  /// another row by now: judge each by its real vector.
  void search(std::span<const float> unit, std::size_t wanted,
              const std::vector<std::uint8_t>& visible, const std::uint8_t* allowed,
              std::size_t allowed_count, std::vector<Candidate>& out) const;

  struct Unlinked {
    std::uint32_t slot;
    std::uint64_t sequence;
  };
  /// Some of what waits to be linked, with its vectors, and what is to leave the graph. Readers may
  /// run beside; the writer not.
  struct Work {
    std::vector<Unlinked> link, leave;
    std::vector<std::vector<float>> vectors;
  };
  Work next_work(std::size_t most) const;
  /// Makes the graph, empty at first.
  void begin_graph();
  bool has_graph() const { return graph_ != nullptr; }
  bool wants_graph() const { return graph_ != nullptr || listed_ >= options_.exact_rows; }
  /// Puts it into the graph.
  void link(const Work& work);
  /// Forgets what `link` did. Readers kept out.
  void done(const Work& work);
  std::size_t backlog() const { return unlinked_.size() + leaving_.size(); }
  std::size_t listed() const { return listed_; }

  /// The graph in a file. Errors: unavailable.
  Result<void> save(const std::string& file);
  /// By slot, the row that the graph knows of it; 0: none. Of the linking thread.
  const std::vector<std::uint64_t>& linked() const { return linked_; }
  /// Greater whenever the graph is another; of the linking thread.
  std::uint64_t version() const { return version_; }

  using Graph = std::unique_ptr<vector::LocalIndex>;
  /// A graph that `save` wrote. Errors: those of LocalIndex::load.
  static Result<Graph> read(const std::string& file, const std::string& model,
                            std::size_t dimensions, const VectorOptions& options);
  /// Before use, with all rows listed: `graph` holds at each slot the row that `linked` says (0:
  /// none; kStale: another than any). Those rows wait no longer, what is not listed leaves. False:
  /// they do not fit one another, and nothing has changed.
  static constexpr std::uint64_t kStale = UINT64_MAX;
  bool adopt(Graph graph, std::vector<std::uint64_t> linked);

  std::size_t bytes() const;

 private:
  static vector::LocalOptions local_options(const std::string& model, std::size_t dimensions,
                                            const VectorOptions& options);
  bool is_listed(const Unlinked& row) const {
    return row.slot < listed_as_.size() && listed_as_[row.slot] == row.sequence;
  }

  const std::string model_;
  const std::size_t dimensions_;
  const VectorOptions options_;
  vector::Blocks<std::int8_t> codes_;
  vector::Blocks<float> scales_;
  std::vector<std::uint64_t> listed_as_;  ///< by slot, the row that may be found; 0: none
  std::size_t listed_ = 0;
  std::deque<Unlinked> unlinked_, leaving_;
  std::unique_ptr<vector::LocalIndex> graph_;
  std::vector<std::uint64_t> linked_;
  std::uint64_t version_ = 0;
};

}  // namespace asahi::memory::hot
