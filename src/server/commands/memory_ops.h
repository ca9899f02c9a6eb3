#pragma once

#include <CLI/CLI.hpp>

#include "server/commands/commands.h"

namespace asahi::server {

/// `asahi memory mcp|backup|verify|restore|shutdown`, added to `memory`'s subcommand.
void add_memory_ops(CLI::App& memory, CommonOptions& common, Command& chosen);

/// `asahi memory backend show|move|revert|finish`, likewise.
void add_memory_backend(CLI::App& memory, CommonOptions& common, Command& chosen);

/// `asahi memory rebalance`, likewise.
void add_memory_rebalance(CLI::App& memory, CommonOptions& common, Command& chosen);

/// `asahi memory migrate data|status|rollback`, likewise.
void add_memory_migrate(CLI::App& memory, CommonOptions& common, Command& chosen);

}  // namespace asahi::server
