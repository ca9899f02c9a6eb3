#include "storage/object/task_store.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "storage/object/folder_store.h"

namespace asahi::object {
namespace {

TEST(TaskStoreTest, LeavesTheLoopFreeAndComesBackToIt) {
  std::string folder = (std::filesystem::temp_directory_path() / "asahi-task-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto folder_store = FolderStore::open(folder).value();
  boost::asio::thread_pool pool(1);
  TaskStore store(*folder_store, pool);
  net::LoopPool loops(1);
  loops.start();
  const auto done = net::run_sync<Result<void>>(loops.at(0), [&]() -> Task<void> {
    ASAHI_CO_TRY(const ObjectInfo put, co_await store.put("a", "bytes"));
    EXPECT_EQ(net::Loop::current(), &loops.at(0));
    EXPECT_EQ(put.size, 5U);
    ASAHI_CO_TRY(const std::string got, co_await store.get("a", 10));
    EXPECT_EQ(got, "bytes");
    ASAHI_CO_TRY(const Page page, co_await store.list({}));
    EXPECT_EQ(page.objects.size(), 1U);
    if (auto erased = co_await store.erase("a"); !erased)
      co_return std::unexpected(std::move(erased.error()));
    ASAHI_CO_TRY(const auto there, co_await store.head("a"));
    EXPECT_FALSE(there);
    co_return Result<void>{};
  });
  EXPECT_TRUE(done);
  pool.join();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace asahi::object
