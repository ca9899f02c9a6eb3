#pragma once

#include <string>

#include "base/file.h"
#include "storage/object/store.h"

namespace asahi::object {

/// Writes the rest of an open file into an upload, piece by piece, and finishes it. `path`: its
/// name for errors. Errors: those of the upload; internal when the file cannot be read.
Result<ObjectInfo> send_pieces(const File& from, const std::string& path, Upload& upload);

}  // namespace asahi::object
