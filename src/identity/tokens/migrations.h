#pragma once

#include <vector>

#include "storage/sql/migrations.h"

namespace asahi::identity {

/// The table of refresh tokens: versions 210–219.
std::vector<sql::Migration> token_migrations();

}  // namespace asahi::identity
