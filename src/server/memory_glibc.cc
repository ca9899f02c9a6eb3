#include <malloc.h>

#include "server/memory.h"

namespace asahi::server {

void begin_thrift() {}
void end_thrift() { ::malloc_trim(0); }

}  // namespace asahi::server
