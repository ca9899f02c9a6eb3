// Compiled for this very machine, so that hnswlib uses the widest instructions that it knows.
#include "vector.h"

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

  void build(const Matrix& data) override {
    for (std::size_t i = 0; i < data.rows(); ++i) index_.addPoint(data.row(i).data(), i);
  }
  std::vector<std::size_t> search(std::span<const float> query, std::size_t effort) override {
    index_.setEf(effort);
    auto found = index_.searchKnn(query.data(), 10);
    std::vector<std::size_t> out(found.size());
    for (std::size_t i = out.size(); i-- > 0; found.pop()) out[i] = found.top().second;
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
