#pragma once

#include <string>
#include <vector>

#include "savings/embedding.h"
#include "savings/table.h"

namespace asahi::savings {

struct MeasureOptions {
  std::string data = "../shared/data";  ///< folder of the evaluation rows
  std::vector<std::string> docs;        ///< folders of documentation
  bool show = false;                    ///< prints what went wrong
};

// Each fills its rows, or skips them visibly where its texts are missing.

/// Sentences of documentation said another way, and others that are not cached.
void measure_paraphrases(Table& table, Embedding& embedding, const MeasureOptions& options);
/// pairs_dev: questions that mean the same or not, pair by pair and all against all.
void measure_pairs(Table& table, Embedding& embedding, const MeasureOptions& options);
/// intents_dev: a tenth is cached, the rest asked.
void measure_intents(Table& table, Embedding& embedding, const MeasureOptions& options);
/// Pairs of our own making that must not share an answer. Without vectors: the verifier alone.
void measure_negatives(Table& table, const MeasureOptions& options);

}  // namespace asahi::savings
