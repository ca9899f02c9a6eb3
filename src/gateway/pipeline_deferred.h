#pragma once

#include <string>

#include "gateway/governance/governor.h"
#include "llm/codec.h"

namespace asahi::gateway {

/// A call that a vendor's own batch API will answer within the day, at a lower price: governed,
/// routed, reserved and written in the vendor's format.
struct DeferredCall {
  std::string provider, model;  ///< registry's names
  std::string body;             ///< of the vendor's request
  Reservation reservation;      ///< at the lower price
};

}  // namespace asahi::gateway
