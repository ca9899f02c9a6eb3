#include <mimalloc.h>

#include "server/memory.h"

namespace asahi::server {
namespace {

constexpr long kUsualDelay = 25;  ///< milliseconds; mimalloc's own default

}  // namespace

// Collecting at the end alone does not help: partly used segments keep what was freed in them.
void begin_thrift() { mi_option_set(mi_option_decommit_delay, 0); }

void end_thrift() {
  mi_collect(true);
  mi_option_set(mi_option_decommit_delay, kUsualDelay);
}

}  // namespace asahi::server
