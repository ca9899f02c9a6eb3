#pragma once

#include <boost/asio/thread_pool.hpp>

#include <string>
#include <utility>

#include "base/task.h"
#include "net/blocking.h"
#include "storage/object/store.h"

namespace asahi::object {

/// An ObjectStore for coroutines: each call runs on `pool`, whose threads bound how many run at a
/// time, and resumes the caller on its loop. Both outlive it and every call.
class TaskStore {
 public:
  TaskStore(ObjectStore& store, boost::asio::thread_pool& pool) : store_(store), pool_(pool) {}

  Task<ObjectInfo> put(std::string key, std::string bytes, PutOptions options = {}) {
    return run([this, key = std::move(key), bytes = std::move(bytes),
                options = std::move(options)] { return store_.put(key, bytes, options); });
  }
  Task<ObjectInfo> put_file(std::string key, std::string path, PutOptions options = {}) {
    return run([this, key = std::move(key), path = std::move(path), options = std::move(options)] {
      return store_.put_file(key, path, options);
    });
  }
  Task<std::string> get(std::string key, std::size_t max_bytes, ReadOptions options = {}) {
    return run([this, key = std::move(key), max_bytes, options = std::move(options)] {
      return store_.get(key, max_bytes, options);
    });
  }
  Task<ObjectInfo> get_file(std::string key, std::string path) {
    return run([this, key = std::move(key), path = std::move(path)] {
      return store_.get_file(key, path);
    });
  }
  Task<std::optional<ObjectInfo>> head(std::string key) {
    return run([this, key = std::move(key)] { return store_.head(key); });
  }
  Task<Page> list(ListQuery query) {
    return run([this, query = std::move(query)] { return store_.list(query); });
  }
  Task<void> erase(std::string key) {
    return run([this, key = std::move(key)] { return store_.erase(key); });
  }

 private:
  template <class Work>
  Aw<std::invoke_result_t<Work>> run(Work work) {
    co_return co_await net::run_blocking(pool_, std::move(work));
  }

  ObjectStore& store_;
  boost::asio::thread_pool& pool_;
};

}  // namespace asahi::object
