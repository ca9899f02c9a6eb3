#pragma once

#include <boost/asio/post.hpp>

#include "base/task.h"

namespace asahi::net {

/// Goes on once all that is ready on this loop has had its turn. Whoever writes after it writes
/// together with the others: their peer, asleep until then, is woken once for all of them, and that
/// takes longer than a write. An idle loop goes on at once.
inline Aw<void> after_the_ready() { return boost::asio::post(use_aw); }

}  // namespace asahi::net
