#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "net/http/router.h"
#include "net/http/server.h"
#include "net/loop.h"

namespace asahi::vector_testing {

/// A vector database's HTTP side on a free port of 127.0.0.1, with a loop of its own: it stores
/// what it is sent, answers queries by comparing everything, and misbehaves when told to.
class FakeDatabase {
 public:
  struct Fault {
    enum Kind {
      kStatus,    ///< answers `status`, with Retry-After if set
      kSlow,      ///< answers only when the client has gone, or after 20 s
      kCut,       ///< breaks off within the answer
      kNonsense,  ///< answers 200 with something that is no JSON
    };
    Kind kind = kStatus;
    int status = 500;
    std::string retry_after = {};
  };

  struct Point {
    std::vector<float> vector;
    json::object properties;
  };
  /// Items by their own id.
  struct Collection {
    std::size_t dimensions = 0;
    std::map<std::string, Point> points;
  };
  using Match = std::function<bool(const std::string& id, const Point& point)>;
  struct Scored {
    double cosine;
    const std::string* id;
    const Point* point;
  };

  virtual ~FakeDatabase();
  FakeDatabase(const FakeDatabase&) = delete;
  FakeDatabase& operator=(const FakeDatabase&) = delete;

  std::string url() const;
  std::uint16_t port() const { return server_->port(); }
  void fail_next(Fault fault, int times = 1);
  /// "PUT /collections/x", in order, since the last call.
  std::vector<std::string> requests();
  /// Forgets everything stored.
  void wipe();
  /// Changes what is stored behind everybody's back.
  void tamper(const std::function<void(std::map<std::string, Collection>&)>& change);

  static constexpr std::string_view kKey = "test-key";

 protected:
  FakeDatabase() = default;
  /// `header: value` must stand in every request; another answers 401.
  void require(std::string header, std::string value);
  /// `answer` runs under the lock; `body` is the request's, parsed (null when empty).
  using Answer =
      std::function<http::Response(const http::Context& context, const json::value& body)>;
  void on(http::Method method, std::string pattern, Answer answer);
  void start();

  static http::Response json(int status, const json::value& value);
  /// Best first.
  static std::vector<Scored> nearest(const Collection& collection, const std::vector<float>& vector,
                                     std::size_t k, const Match& match);
  static std::vector<float> floats(const json::value& value);
  Collection* find(std::string_view name);

  std::map<std::string, Collection> collections_;

 private:
  Aw<http::Response> handle(http::Context& context, const Answer& answer);

  std::mutex mutex_;
  std::deque<Fault> faults_;
  std::vector<std::string> requests_;
  std::string key_header_, key_value_;
  http::Router router_;
  net::LoopPool loops_{1};
  std::unique_ptr<http::Server> server_;
};

std::unique_ptr<FakeDatabase> fake_pinecone();
std::unique_ptr<FakeDatabase> fake_weaviate();
std::unique_ptr<FakeDatabase> fake_qdrant();
std::unique_ptr<FakeDatabase> fake_milvus();

}  // namespace asahi::vector_testing
