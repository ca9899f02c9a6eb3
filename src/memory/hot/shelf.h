#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/hot/engine.h"

namespace asahi::memory::hot {

/// One tenant's part of the hot tier.
struct Engine::Shelf {
  explicit Shelf(std::string name) : tenant(std::move(name)) {}

  const std::string tenant;
  /// Keeps readers out while the table changes.
  mutable vector::ReadGate gate;
  Table table;
  std::vector<std::unique_ptr<VectorSet>> vectors;  ///< Place::model − 1
  std::unique_ptr<KeywordIndex> keyword;
  std::unique_ptr<NearDuplicates> near;
  std::unordered_map<std::uint32_t, Clock::Time> marks;  ///< until when rows are being migrated

  VectorSet* set_of(std::uint32_t slot) const {
    const std::uint32_t model = table.place(slot).model;
    return model == 0 ? nullptr : vectors[model - 1].get();
  }
};

/// Keeps readers out of one shelf after the other.
class Engine::Exclusive {
 public:
  ~Exclusive() { move_to(nullptr); }
  Exclusive() = default;
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;
  void move_to(Shelf* shelf) {
    if (shelf == shelf_) return;
    if (shelf_ != nullptr) shelf_->gate.unlock();
    shelf_ = shelf;
    if (shelf_ != nullptr) shelf_->gate.lock();
  }

 private:
  Shelf* shelf_ = nullptr;
};

}  // namespace asahi::memory::hot
