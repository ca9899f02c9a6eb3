// Compiled for this very machine, so that hnswlib uses the widest instructions that it knows.
#include "contestants.h"

#if __has_include(<hnswlib/hnswlib.h>)

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <hnswlib/hnswlib.h>
#pragma clang diagnostic pop

namespace asahi::bench {
namespace {

class Hnswlib final : public Contestant {
 public:
  Hnswlib(std::size_t width, std::size_t count)
      : space_(width), index_(&space_, count, /*M=*/16, /*ef_construction=*/128) {}

  std::string_view name() const override { return "hnswlib"; }
  bool can_filter() const override { return false; }  // not in 0.6
  void build(const Matrix& vectors) override {
    for (std::size_t i = 0; i < vectors.rows(); ++i) index_.addPoint(vectors.row(i).data(), i);
  }
  Ids search(std::span<const float> query, std::size_t effort, std::uint32_t) override {
    index_.setEf(effort);
    auto found = index_.searchKnn(query.data(), kNearest);
    Ids out(found.size());
    for (std::size_t i = out.size(); i-- > 0; found.pop()) {
      out[i] = static_cast<std::uint32_t>(found.top().second);
    }
    return out;
  }

 private:
  hnswlib::InnerProductSpace space_;
  hnswlib::HierarchicalNSW<float> index_;
};

}  // namespace

std::unique_ptr<Contestant> make_hnswlib(std::size_t width, std::size_t count) {
  return std::make_unique<Hnswlib>(width, count);
}

}  // namespace asahi::bench
#else
namespace asahi::bench {
std::unique_ptr<Contestant> make_hnswlib(std::size_t, std::size_t) { return nullptr; }
}  // namespace asahi::bench
#endif
