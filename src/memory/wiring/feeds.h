#pragma once

#include <memory>
#include <vector>

#include "memory/hot/engine.h"
#include "memory/knowledge/feed.h"
#include "memory/model/store.h"
#include "memory/pgvector/store.h"
#include "memory/remote/remote_store.h"
#include "memory/swap/swap_store.h"
#include "net/loop.h"

/// The hot tier's writings as what is derived from them needs them. All arguments outlive a feed;
/// whether a memory is still somewhere is asked of all `tiers`.
namespace asahi::memory {

std::unique_ptr<knowledge::MemoryFeed> feed_of(hot::Engine& engine, std::vector<Store*> tiers,
                                               net::LoopPool& loops);
/// In PostgreSQL; it is asked as often as its follower waits whether there is something new.
std::unique_ptr<knowledge::MemoryFeed> feed_of(PgVectorStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops);
/// Wherever the hot tier is by now: another name stands for another backend.
std::unique_ptr<knowledge::MemoryFeed> feed_of(swap::SwapStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops);
/// In another process; it is asked once a second whether there is something new.
std::unique_ptr<knowledge::MemoryFeed> feed_of(remote::RemoteStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops);

}  // namespace asahi::memory
