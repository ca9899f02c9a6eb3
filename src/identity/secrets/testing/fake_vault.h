#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/server.h"
#include "net/loop.h"

namespace asahi::identity::testing {

/// A Vault for tests: KV version 2 at secret/, Kubernetes and token authentication, in the words of
/// the real one. Time passes only by `expire`. Thread-safe.
class FakeVault {
 public:
  struct Fault {
    int status = 0;  ///< 0: answers properly after `delay`
    std::chrono::milliseconds delay{0};
    std::string retry_after = {};
    std::string body = {};  ///< instead of Vault's own
  };
  struct Life {
    int ttl = 3'600;  ///< seconds; 0: for ever
    bool renewable = true;
  };

  explicit FakeVault(std::optional<http::TlsFiles> tls = std::nullopt);
  ~FakeVault();

  std::string address() const;
  /// Makes a token, as `vault token create` would.
  void add_token(const std::string& token, Life life);
  /// What a login with this role and JWT gets from now on.
  void allow_role(const std::string& role, const std::string& jwt, Life life);
  /// What a renewal gives from now on.
  void renew_gives(int ttl);
  /// Revokes every token.
  void expire();
  /// A new version of the secret; `json` is its data.
  void put(const std::string& path, const std::string& json);
  /// Deletes the latest version: reading is 404 with metadata.
  void remove(const std::string& path);
  /// The next `times` requests whose path ends in `path` get this.
  void fault(const std::string& path, Fault fault, int times = 1);
  /// "GET secret/data/asahi", "POST auth/kubernetes/login" … since the last call.
  std::vector<std::string> calls();
  /// The value of a header in the latest request.
  std::string last_header(const std::string& name);

 private:
  struct Secret {
    std::string json;
    int version = 0;
    bool deleted = false;
  };
  struct Role {
    std::string jwt;
    Life life;
  };
  struct Pending {
    std::string path;
    Fault fault;
    int left;
  };

  Aw<http::Response> answer(http::Context& context);
  http::Response reply(const http::Request& request, const std::string& path);
  http::Response log_in(const http::Request& request);
  http::Response read(const std::string& path);

  std::mutex mutex_;
  std::map<std::string, Life> tokens_;
  std::map<std::string, Role> roles_;
  std::map<std::string, Secret> secrets_;
  std::deque<Pending> faults_;
  std::vector<std::string> calls_;
  http::Headers last_headers_;
  int renewed_ttl_ = 3'600;
  int logins_ = 0;

  bool tls_;
  net::LoopPool loops_{1};
  std::unique_ptr<http::Server> server_;
};

}  // namespace asahi::identity::testing
