#include "identity/http/client_ip.h"

#include <gtest/gtest.h>

namespace asahi::identity {
namespace {

Networks networks(const std::vector<std::string>& items) {
  auto parsed = Networks::parse(items);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed.value_or(Networks());
}

TEST(Networks, HoldWhatTheirPrefixCovers) {
  const Networks some = networks({"10.0.0.0/8", "192.168.4.6/31", "2001:db8::/33", "::1"});
  EXPECT_TRUE(some.contains("10.255.0.1"));
  EXPECT_FALSE(some.contains("11.0.0.1"));
  EXPECT_TRUE(some.contains("192.168.4.7"));
  EXPECT_FALSE(some.contains("192.168.4.8"));
  EXPECT_TRUE(some.contains("2001:db8:7fff::1"));
  EXPECT_FALSE(some.contains("2001:db8:8000::1"));
  EXPECT_TRUE(some.contains("::1"));
  EXPECT_TRUE(some.contains("::ffff:10.1.1.1"));
  EXPECT_FALSE(some.contains("not an address"));
  EXPECT_TRUE(networks({"0.0.0.0/0"}).contains("8.8.8.8"));
  EXPECT_FALSE(networks({"0.0.0.0/0"}).contains("2001:db8::1"));
}

TEST(Networks, RefuseWhatIsNoNetwork) {
  for (const char* item : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::1/129",
                           "host", "10.0.0.0/8x"}) {
    EXPECT_FALSE(Networks::parse({item})) << item;
  }
}

TEST(ClientIp, IsThePeerUnlessTheProxyIsTrusted) {
  EXPECT_EQ(client_ip("1.2.3.4", "9.9.9.9", Networks()), "1.2.3.4");
  EXPECT_EQ(client_ip("1.2.3.4", "9.9.9.9", networks({"10.0.0.0/8"})), "1.2.3.4");
  EXPECT_EQ(client_ip("10.0.0.1", "", networks({"10.0.0.0/8"})), "10.0.0.1");
}

TEST(ClientIp, IsTheLastAddressThatNoTrustedProxyHas) {
  const Networks trusted = networks({"10.0.0.0/8"});
  EXPECT_EQ(client_ip("10.0.0.1", "9.9.9.9", trusted), "9.9.9.9");
  EXPECT_EQ(client_ip("10.0.0.1", "9.9.9.9, 10.0.0.7", trusted), "9.9.9.9");
  // What the client itself wrote stands further left and proves nothing.
  EXPECT_EQ(client_ip("10.0.0.1", "10.1.1.1, 6.6.6.6, 9.9.9.9", trusted), "9.9.9.9");
  EXPECT_EQ(client_ip("10.0.0.1", "10.0.0.3", trusted), "10.0.0.3");
}

TEST(ClientIp, ReadsPortsAndBrackets) {
  const Networks trusted = networks({"10.0.0.0/8"});
  EXPECT_EQ(client_ip("10.0.0.1", "9.9.9.9:1234", trusted), "9.9.9.9");
  EXPECT_EQ(client_ip("10.0.0.1", "[2001:db8::1]:1234", trusted), "2001:db8::1");
  EXPECT_EQ(client_ip("10.0.0.1", "2001:db8::1", trusted), "2001:db8::1");
}

TEST(ClientIp, StopsAtABrokenEntry) {
  const Networks trusted = networks({"10.0.0.0/8"});
  EXPECT_EQ(client_ip("10.0.0.1", "9.9.9.9, unknown", trusted), "10.0.0.1");
  EXPECT_EQ(client_ip("10.0.0.1", "9.9.9.9,, 10.0.0.2", trusted), "10.0.0.2");
  EXPECT_EQ(client_ip("10.0.0.1", "[::1", trusted), "10.0.0.1");
}

}  // namespace
}  // namespace asahi::identity
