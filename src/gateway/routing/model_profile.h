#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"

namespace asahi::gateway {

/// What a model can be asked for. The words of `supports:` in models.yaml.
enum class Capability : std::uint8_t {
  kChat,
  kEmbeddings,
  kTools,
  kImages,
  kAudio,
  kFiles,
  kStructured,  ///< answers held to a JSON Schema
  kStreaming,
  kReasoning,
};
inline constexpr std::size_t kCapabilityCount = 9;
/// "chat", "embeddings", "tools", …
std::string_view to_string(Capability capability);
std::optional<Capability> parse_capability(std::string_view word);

/// A small set of capabilities.
class Capabilities {
 public:
  constexpr Capabilities() = default;
  constexpr Capabilities(std::initializer_list<Capability> list) {
    for (const Capability c : list) add(c);
  }
  constexpr void add(Capability c) { bits_ |= 1U << static_cast<unsigned>(c); }
  constexpr bool has(Capability c) const { return (bits_ >> static_cast<unsigned>(c) & 1U) != 0; }
  constexpr bool includes(Capabilities all) const { return (bits_ & all.bits_) == all.bits_; }
  /// What `other` has and this set lacks.
  constexpr Capabilities missing_from(Capabilities other) const {
    Capabilities result;
    result.bits_ = other.bits_ & ~bits_;
    return result;
  }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(Capabilities, Capabilities) = default;

 private:
  std::uint32_t bits_ = 0;
};
/// "chat, tools, images" in the order of the enum.
std::string to_string(Capabilities capabilities);

/// What the operator says about a model; the vendor's live health is another matter (VendorHealth).
enum class Availability { kAvailable, kDegraded, kUnavailable };
std::string_view to_string(Availability availability);

/// One row of the model registry. Prices hold for one token; models.yaml gives dollars per 1,000.
struct ModelProfile {
  std::string name;          ///< as clients call it; unique
  std::string provider;      ///< vendor: "openai"
  std::string vendor_model;  ///< the vendor's own name; defaults to `name`
  std::string api_key_env;   ///< variable with the vendor's key; empty: no key needed

  TokenPrice input;
  TokenPrice output;
  TokenPrice cached_input;    ///< read from the vendor's prompt cache
  TokenPrice cache_write;     ///< written to it, 5-minute entries
  TokenPrice cache_write_1h;  ///< written to it, 1-hour entries
  TokenPrice audio_input;
  TokenPrice audio_output;

  int avg_latency_ms = 0;              ///< typical time to the whole answer
  double quality = 0;                  ///< 0 to 5
  std::int64_t max_input_tokens = 0;   ///< context window: prompt and answer together
  std::int64_t max_output_tokens = 0;  ///< longest answer; 0 for models that only embed
  std::string description;
  Availability availability = Availability::kAvailable;
  std::string region;  ///< "us", "eu"; empty fails every residency requirement
  Capabilities supports{Capability::kChat, Capability::kStreaming};
  std::vector<std::string> aliases;  ///< further names clients may use (dated versions)

  bool operator==(const ModelProfile&) const = default;

  bool is_free() const { return input.pico_per_token == 0 && output.pico_per_token == 0; }
  /// Mean of the input and output price in dollars per 1,000 tokens.
  double average_price_per_1k() const {
    return (input.dollars_per_1k() + output.dollars_per_1k()) / 2;
  }
  /// Quality per dollar: quality / average price (gateway spec §3.11). Only for models with a
  /// price.
  double value_score() const { return quality / average_price_per_1k(); }
};

}  // namespace asahi::gateway
