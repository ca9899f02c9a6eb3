#include "memory/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace asahi::memory {
namespace {

using testing::Contains;
using testing::Field;
using testing::IsEmpty;

struct Bound {
  MemoryConfig config;
  std::vector<config::Fault> faults;
};

Bound bind_with(const std::map<std::string, std::string, std::less<>>& variables,
                const std::string& environment = "development") {
  config::Sources sources;
  sources.environment = variables;
  config::Binder binder(std::move(sources));
  Bound bound;
  bound.config.environment = environment;
  memory::bind(binder, bound.config, "/data");
  bound.faults = binder.finish();
  return bound;
}

auto names(const std::string& path) {
  return Contains(Field(&config::Fault::path, "memory.websocket." + path));
}

TEST(WebSocketSettings, TheListenerIsWantedWithAPortOrWithTls) {
  EXPECT_FALSE(bind_with({}).config.websocket.is_wanted());
  EXPECT_TRUE(bind_with({{"AKOSHA_WS_PORT", "8692"}}).config.websocket.is_wanted());
  EXPECT_TRUE(bind_with({{"AKOSHA_WS_TLS_ENABLED", "true"}}).config.websocket.is_wanted());
  EXPECT_FALSE(bind_with({{"AKOSHA_WS_PORT", "8692"}, {"AKOSHA_WS_ENABLED", "false"}})
                   .config.websocket.is_wanted());
}

TEST(WebSocketSettings, TlsWithoutFilesIsForDevelopmentOnly) {
  const std::map<std::string, std::string, std::less<>> tls = {{"AKOSHA_WS_TLS_ENABLED", "true"}};
  EXPECT_THAT(bind_with(tls).faults, IsEmpty());
  for (const char* environment : {"staging", "production"})
    EXPECT_THAT(bind_with(tls, environment).faults, names("cert_file")) << environment;
}

TEST(WebSocketSettings, CertificateAndKeyGoTogether) {
  EXPECT_THAT(bind_with({{"AKOSHA_WS_TLS_ENABLED", "1"}, {"AKOSHA_WS_CERT_FILE", "/c.pem"}}).faults,
              names("cert_file"));
  EXPECT_THAT(bind_with({{"AKOSHA_WS_TLS_ENABLED", "1"}, {"AKOSHA_WS_KEY_FILE", "/k.pem"}}).faults,
              names("key_file"));
  EXPECT_THAT(bind_with({{"AKOSHA_WS_TLS_ENABLED", "1"},
                         {"AKOSHA_WS_CERT_FILE", "/c.pem"},
                         {"AKOSHA_WS_KEY_FILE", "/k.pem"}},
                        "production")
                  .faults,
              IsEmpty());
}

TEST(WebSocketSettings, WhoNamesCertificatesDoesNotGetPlainText) {
  EXPECT_THAT(
      bind_with({{"AKOSHA_WS_CERT_FILE", "/c.pem"}, {"AKOSHA_WS_KEY_FILE", "/k.pem"}}).faults,
      names("tls_enabled"));
  EXPECT_THAT(bind_with({{"AKOSHA_WS_CA_FILE", "/ca.pem"}}).faults, names("tls_enabled"));
}

TEST(WebSocketSettings, ClientsAreVerifiedAgainstSomebody) {
  EXPECT_THAT(bind_with({{"AKOSHA_WS_TLS_ENABLED", "1"}, {"AKOSHA_WS_VERIFY_CLIENT", "1"}}).faults,
              names("verify_client"));
}

TEST(MemoryPaths, TheNearestSettingCounts) {
  const MemoryConfig plain = bind_with({}).config;
  EXPECT_EQ(plain.data_path, "/data/memory");
  EXPECT_EQ(plain.hot.path, "/data/memory/hot");
  const MemoryConfig said = bind_with({{"AKOSHA_DATA_PATH", "/srv/memory"},
                                       {"AKOSHA_WAL_PATH", "/nvme/wal"},
                                       {"AKOSHA_WARM_PATH", "/ssd/warm"}})
                                .config;
  EXPECT_EQ(said.hot.path, "/nvme/wal");
  EXPECT_EQ(said.warm.path, "/ssd/warm");
  EXPECT_EQ(said.cold.path, "/srv/memory/cold");
  EXPECT_EQ(bind_with({{"AKOSHA_WAL_PATH", "/nvme/wal"}, {"AKOSHA_HOT_PATH", "/nvme/hot"}})
                .config.hot.path,
            "/nvme/hot");
}

}  // namespace
}  // namespace asahi::memory
