#pragma once

#include <string>
#include <vector>

#include "base/result.h"

/// Files from folder to folder, durably and compared.
namespace asahi::server {

/// SHA-256 of a file's content, in hex, read from the disk's cache or the disk. Errors:
/// unavailable. Blocking.
Result<std::string> sum_of_file(const std::string& path);

/// Copies `from` to `to` with its mode, synced, and reads it again: the sum of both. Folders on the
/// way are made; what stands at `to` is replaced at once or not at all. Errors: unavailable;
/// corrupt, when what was read again differs. Blocking.
Result<std::string> carry_file(const std::string& from, const std::string& to);

/// Regular files below `folder`, relative to it, sorted. Errors: unavailable; conflict for a
/// symbolic link or a special file, which is moved by hand.
Result<std::vector<std::string>> files_below(const std::string& folder);

/// Removes a file, and what a copy to its place that was cut has left. None there is no error.
/// Errors: unavailable.
Result<void> remove_carried(const std::string& path);

/// Removes the folders below `root` that hold no file; `root` stays.
void remove_empty_folders(const std::string& root);

/// Makes names in these folders, and in those above up to `root`, outlive a power cut. Errors:
/// unavailable.
Result<void> sync_folders(const std::string& root, const std::vector<std::string>& files);

}  // namespace asahi::server
