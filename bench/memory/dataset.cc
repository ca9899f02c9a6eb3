// Compiled for this very machine: the truth takes 10^11 multiplications.
#include "dataset.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <utility>

#include "storage/vector/testing/vectors.h"

namespace asahi::bench {
namespace {

Matrix take(vector_testing::Clusters& clusters, std::size_t width, std::size_t count) {
  Matrix out{width, {}};
  out.numbers.reserve(width * count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = clusters.next();
    out.numbers.insert(out.numbers.end(), row.begin(), row.end());
  }
  return out;
}

float product(std::span<const float> a, std::span<const float> b) {
#pragma clang fp reassociate(on) contract(fast)
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
bool write_all(const std::string& path, const std::vector<T>& values) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  return out.flush().good();
}

}  // namespace

Dataset make_dataset(std::size_t width, std::size_t count, std::size_t queries) {
  constexpr std::size_t kCentres = 2000;
  constexpr std::uint64_t kSeed = 42;
  vector_testing::Clusters clusters(width, kCentres, kSeed);
  Dataset out;
  out.vectors = take(clusters, width, count);
  out.queries = take(clusters, width, queries);
  out.truth = out.truth_of(1, queries);
  return out;
}

std::vector<Ids> Dataset::truth_of(std::uint32_t modulus, std::size_t count) const {
  // Vector by vector for many queries at once: each is read from memory once.
  constexpr std::size_t kAtOnce = 64;
  std::vector<Ids> out;
  for (std::size_t from = 0; from < count; from += kAtOnce) {
    const std::size_t until = std::min(count, from + kAtOnce);
    std::vector<std::vector<std::pair<float, std::uint32_t>>> best(until - from);
    for (std::size_t i = 0; i < vectors.rows(); i += modulus) {
      for (std::size_t q = from; q < until; ++q) {
        auto& heap = best[q - from];
        const float distance = -product(queries.row(q), vectors.row(i));
        if (heap.size() == kNearest) {
          if (distance >= heap.front().first) continue;
          std::ranges::pop_heap(heap);
          heap.pop_back();
        }
        heap.emplace_back(distance, static_cast<std::uint32_t>(i));
        std::ranges::push_heap(heap);
      }
    }
    for (auto& heap : best) {
      std::ranges::sort_heap(heap);
      Ids& ids = out.emplace_back();
      for (const auto& [distance, id] : heap) ids.push_back(id);
    }
  }
  return out;
}

bool Dataset::write(const std::string& folder) const {
  std::vector<std::uint32_t> flat;
  for (const Ids& ids : truth) flat.insert(flat.end(), ids.begin(), ids.end());
  return write_all(folder + "/vectors.f32", vectors.numbers) &&
         write_all(folder + "/queries.f32", queries.numbers) &&
         write_all(folder + "/truth.u32", flat);
}

double recall(std::span<const Ids> truth, std::span<const Ids> found) {
  std::size_t hits = 0, all = 0;
  for (std::size_t q = 0; q < found.size(); ++q) {
    all += truth[q].size();
    for (const std::uint32_t id : found[q]) hits += std::ranges::count(truth[q], id) > 0 ? 1 : 0;
  }
  return all == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(all);
}

}  // namespace asahi::bench
