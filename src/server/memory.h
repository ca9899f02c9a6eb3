#pragma once

namespace asahi::server {

/// Starting takes more memory (settings, models, schema) than waiting for requests does. Between
/// these two calls what is freed goes back to the system at once; afterwards the allocator keeps
/// some of it at hand again, which is faster.
void begin_thrift();
void end_thrift();

}  // namespace asahi::server
