#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace asahi::memory::text {

/// Where a document stands in the order of adding. Never used twice.
using Ordinal = std::uint32_t;
inline constexpr Ordinal kNoOrdinal = 0xFFFFFFFF;

/// Postings of one term: 128 a block, ordinals as bit-packed differences, frequencies bit-packed;
/// the last ones (under 128) as varints, which small lists consist of. Frequencies end at 255.
class Postings {
 public:
  static constexpr std::size_t kBlock = 128;

  struct Block {
    Ordinal last = 0;
    std::uint32_t offset = 0;    ///< of its bytes in `packed`
    std::uint16_t shortest = 0;  ///< document of the block: with `most`, bounds its scores
    std::uint8_t most = 0;       ///< highest frequency
    std::uint8_t ordinal_bits = 0;
    std::uint8_t frequency_bits = 0;
  };

  /// `ordinal` above all others; `frequency` 1 to 255.
  void append(Ordinal ordinal, std::uint8_t frequency, std::uint16_t document_length);

  std::uint32_t count() const { return count_; }
  Ordinal last() const { return last_; }
  std::uint8_t most() const { return most_; }
  std::uint16_t shortest() const { return shortest_; }
  /// Blocks, the open one of varints last.
  std::size_t blocks() const { return sealed_blocks() + (tail_count_ > 0 ? 1 : 0); }
  Block block(std::size_t index) const {
    return index < sealed_blocks() ? sealed_->blocks[index]
                                   : Block{last_, 0, shortest_, most_, 0, 0};
  }
  Ordinal block_last(std::size_t index) const {
    return index < sealed_blocks() ? sealed_->blocks[index].last : last_;
  }
  /// How many; at most kBlock.
  std::size_t decode(std::size_t index, std::array<Ordinal, kBlock>& ordinals,
                     std::array<std::uint8_t, kBlock>& frequencies) const;
  /// Of heap memory.
  std::size_t bytes() const;

 private:
  struct Sealed {
    std::vector<Block> blocks;
    std::string packed;
  };
  std::size_t sealed_blocks() const { return sealed_ == nullptr ? 0 : sealed_->blocks.size(); }
  void seal();

  std::string tail_;  ///< varint difference, frequency; many lists fit into the string itself
  std::unique_ptr<Sealed> sealed_;
  std::uint32_t count_ = 0;
  Ordinal last_ = 0;
  std::uint16_t shortest_ = 0xFFFF;       ///< of all documents
  std::uint16_t tail_shortest_ = 0xFFFF;  ///< of those in the tail
  std::uint8_t tail_count_ = 0;
  std::uint8_t most_ = 0;
};

void put_varint(std::string& out, std::uint32_t value);
/// False: cut, or more than 32 bits.
bool get_varint(std::string_view bytes, std::size_t& at, std::uint32_t& value);

}  // namespace asahi::memory::text
