#include "memory/text/postings.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace asahi::memory::text {
namespace {

// Packed numbers are read eight bytes at a time; a block ends with as many to spare.
constexpr std::size_t kSpare = 8;

std::uint8_t bits_for(std::uint32_t highest) {
  return static_cast<std::uint8_t>(std::bit_width(highest));
}

void pack(const std::uint32_t* values, std::size_t count, unsigned bits, std::string& out) {
  std::uint64_t buffer = 0;
  unsigned held = 0;
  for (std::size_t i = 0; i < count; ++i) {
    buffer |= static_cast<std::uint64_t>(values[i]) << held;
    held += bits;
    while (held >= 8) {
      out += static_cast<char>(buffer);
      buffer >>= 8;
      held -= 8;
    }
  }
  if (held > 0) out += static_cast<char>(buffer);
}

std::size_t packed_bytes(std::size_t count, unsigned bits) { return (count * bits + 7) / 8; }

template <class Take>
void unpack(const char* bytes, std::size_t count, unsigned bits, Take&& take) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::size_t bit = 0;
  for (std::size_t i = 0; i < count; ++i, bit += bits) {
    std::uint64_t word;
    std::memcpy(&word, bytes + (bit >> 3), sizeof word);
    take(i, static_cast<std::uint32_t>(word >> (bit & 7) & mask));
  }
}

}  // namespace

void put_varint(std::string& out, std::uint32_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

bool get_varint(std::string_view bytes, std::size_t& at, std::uint32_t& value) {
  std::uint64_t out = 0;
  for (unsigned shift = 0; shift < 35 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    out |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      value = static_cast<std::uint32_t>(out);
      return out <= 0xFFFFFFFF;
    }
  }
  return false;
}

void Postings::append(Ordinal ordinal, std::uint8_t frequency, std::uint16_t document_length) {
  put_varint(tail_, ordinal - (count_ == 0 ? 0 : last_));
  tail_ += static_cast<char>(frequency);
  last_ = ordinal;
  ++count_;
  ++tail_count_;
  most_ = std::max(most_, frequency);
  shortest_ = std::min(shortest_, document_length);
  tail_shortest_ = std::min(tail_shortest_, document_length);
  if (tail_count_ == kBlock) seal();
}

void Postings::seal() {
  std::array<Ordinal, kBlock> ordinals;
  std::array<std::uint8_t, kBlock> frequencies;
  const std::size_t count = decode(sealed_blocks(), ordinals, frequencies);
  if (sealed_ == nullptr) sealed_ = std::make_unique<Sealed>();
  std::array<std::uint32_t, kBlock> steps, extras;
  Ordinal before = sealed_->blocks.empty() ? 0 : sealed_->blocks.back().last;
  std::uint32_t widest = 0, highest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    steps[i] = ordinals[i] - before;
    before = ordinals[i];
    extras[i] = frequencies[i] - 1U;
    widest = std::max(widest, steps[i]);
    highest = std::max(highest, extras[i]);
  }
  Block block;
  block.last = last_;
  if (!sealed_->packed.empty()) sealed_->packed.resize(sealed_->packed.size() - kSpare);
  block.offset = static_cast<std::uint32_t>(sealed_->packed.size());
  block.shortest = tail_shortest_;
  block.most = static_cast<std::uint8_t>(highest + 1);
  block.ordinal_bits = bits_for(widest);
  block.frequency_bits = bits_for(highest);
  pack(steps.data(), count, block.ordinal_bits, sealed_->packed);
  pack(extras.data(), count, block.frequency_bits, sealed_->packed);
  sealed_->packed.append(kSpare, '\0');
  sealed_->blocks.push_back(block);
  tail_ = std::string();
  tail_count_ = 0;
  tail_shortest_ = 0xFFFF;
}

std::size_t Postings::decode(std::size_t index, std::array<Ordinal, kBlock>& ordinals,
                             std::array<std::uint8_t, kBlock>& frequencies) const {
  const std::size_t sealed = sealed_blocks();
  Ordinal ordinal = index == 0 ? 0 : sealed_->blocks[index - 1].last;
  if (index < sealed) {
    const Block& block = sealed_->blocks[index];
    const char* const bytes = sealed_->packed.data() + block.offset;
    unpack(bytes, kBlock, block.ordinal_bits, [&](std::size_t i, std::uint32_t step) {
      ordinal += step;
      ordinals[i] = ordinal;
    });
    unpack(bytes + packed_bytes(kBlock, block.ordinal_bits), kBlock, block.frequency_bits,
           [&](std::size_t i, std::uint32_t extra) {
             frequencies[i] = static_cast<std::uint8_t>(extra + 1);
           });
    return kBlock;
  }
  std::size_t at = 0;
  for (std::size_t i = 0; i < tail_count_; ++i) {
    std::uint32_t step = 0;
    if (!get_varint(tail_, at, step)) return i;
    ordinal += step;
    ordinals[i] = ordinal;
    frequencies[i] = static_cast<std::uint8_t>(tail_[at++]);
  }
  return tail_count_;
}

std::size_t Postings::bytes() const {
  constexpr std::size_t kInside = 15;  // what libstdc++ keeps without the heap
  std::size_t sum = tail_.capacity() > kInside ? tail_.capacity() + 1 : 0;
  if (sealed_ != nullptr)
    sum += sizeof(Sealed) + sealed_->blocks.capacity() * sizeof(Block) + sealed_->packed.capacity();
  return sum;
}

}  // namespace asahi::memory::text
