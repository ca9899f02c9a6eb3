#pragma once

#include "storage/cache/redis_client.h"

namespace asahi::identity {

/// The one script of shared budgets: writes truths, takes reservations away, counts those that ran
/// out as spent, and, asked to, reserves against every budget or none.
///
/// KEYS: daily, month, open of each account. ARGV: node, start, now (ms), lease (ms), "r" to
/// reserve or "w", token, estimate, number of accounts, number of budgets; for each account seq,
/// day spent, day requests, month spent, month requests, factor (sixteenths), "1" at the first
/// meeting, n reservations to take away, n other nodes as node, day spent, day requests, month
/// spent, month requests; for each budget its account (from 1), "d" or "m", the caps or "".
///
/// Reply: 0 admitted, 1 wait, 2 spend refused, 3 requests refused; the budget (from 1); then for
/// each account day spent, day requests, month spent, month requests, open sum, open number, and 1
/// when this node was known there.
cache::Script budget_script();

}  // namespace asahi::identity
