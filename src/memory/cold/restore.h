#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "memory/cold/catalogue.h"
#include "storage/object/store.h"

namespace asahi::memory::cold {

/// What a snapshot of the cold tier (ColdTier::snapshot) holds. Errors: corrupt (its list, or an
/// object of the list is missing or has another sum), unavailable. Blocking, as all here.
Result<std::vector<ColdFile>> read_snapshot(const std::string& folder);

/// Puts the objects that are not there yet; those that are stay as they are. How many were put.
/// Nothing counts before the catalogue names it. Errors: those of the store; corrupt when what
/// comes back is something else.
Result<std::uint64_t> put_objects(object::ObjectStore& objects, const std::string& folder,
                                  const std::vector<ColdFile>& files);

/// Makes `files` all that the catalogue names; what it named before. Their objects stay. Errors:
/// those of the catalogue.
Result<std::vector<ColdFile>> replace_catalogue(Catalogue& catalogue,
                                                const std::vector<ColdFile>& files);

}  // namespace asahi::memory::cold
