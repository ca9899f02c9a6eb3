#include "net/address.h"

#include <gtest/gtest.h>

namespace asahi::net {
namespace {

TEST(Address, KnowsWhatIsPublic) {
  for (const char* text : {"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255",
                           "192.167.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
                           "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"})
    EXPECT_TRUE(is_public_address(text)) << text;
}

TEST(Address, KnowsThisMachineAndPrivateNetworksHoweverTheyAreWritten) {
  for (const char* text : {"127.0.0.1",
                           "127.255.0.3",
                           "0.0.0.0",
                           "10.1.2.3",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.168.0.1",
                           "169.254.169.254",
                           "100.64.0.1",
                           "224.0.0.1",
                           "255.255.255.255",
                           "192.0.2.7",
                           "198.19.0.1",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fd12::1",
                           "ff02::1",
                           "2001:db8::1",
                           "2001::1",
                           "::ffff:127.0.0.1",
                           "::ffff:a00:1",
                           "64:ff9b::7f00:1",
                           "2002:7f00:1::",
                           "localhost",
                           "",
                           "127.1",
                           "0x7f000001"})
    EXPECT_FALSE(is_public_address(text)) << text;
}

}  // namespace
}  // namespace asahi::net
