#include "memory/http/shutdown_route.h"

#include <gtest/gtest.h>

namespace asahi::memory {
namespace {

bool local(const std::string& peer, const std::string& header = {}) {
  http::Request request;
  request.remote_address = peer;
  if (!header.empty()) request.headers.add(header, "127.0.0.1");
  return check_local(request).has_value();
}

TEST(Shutdown, IsForThisMachineOnly) {
  for (const char* peer : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(local(peer)) << peer;
  for (const char* peer : {"10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "2001:db8::1", "0.0.0.0",
                           "127.0.0.1.example.com", ""})
    EXPECT_FALSE(local(peer)) << peer;
}

TEST(Shutdown, IsNotForWhatAProxyOrAPageSends) {
  for (const char* header : {"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "Origin",
                             "Sec-Fetch-Site", "CF-Connecting-IP"})
    EXPECT_FALSE(local("127.0.0.1", header)) << header << " whatever it says";
}

}  // namespace
}  // namespace asahi::memory
