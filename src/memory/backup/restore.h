#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "memory/backup/backup.h"
#include "memory/cold/catalogue.h"
#include "storage/object/store.h"
#include "storage/sql/database.h"

namespace asahi::memory {

/// Where the parts of a backup go; what is not named stays as it is.
struct RestorePlaces {
  std::string hot, warm;  ///< folders of the tiers; empty: not here
  std::string hot_node;   ///< whose, where the backup holds several hot stores
  struct Cold {
    object::ObjectStore& objects;
    cold::Catalogue& catalogue;
    std::string catalogue_file = {};  ///< of a catalogue in a file: set aside where it is damaged
  };
  std::optional<Cold> cold;
  sql::Database* database = nullptr;
  std::string folder;  ///< for what is fetched on its way, and for what was there before
};

/// What became of one part.
struct RestoredPart {
  std::string part;         ///< "hot", …
  std::uint64_t bytes = 0;  ///< that were fetched
  std::uint64_t rows = 0;   ///< of the database; files of the cold tier
  std::string aside;  ///< where that is which was there before; empty: there was nothing, or it is
                      ///< not kept
};

/// Puts a backup in place. Everything is fetched first and every sum, list and row looked at;
/// nothing is changed before all of it is good. Then folders are exchanged (what was there is set
/// aside), the cold tier's catalogue and the rows of the database; when one of these fails, those
/// before it are put back. Killed in between: restore again. Objects of a cold bucket that the
/// backup does not name stay where they are, unlisted; the former list is set aside.
///
/// Nobody has the tiers open meanwhile: their locks are tried. Blocking. Errors: corrupt (the
/// backup), invalid_argument (which of several hot stores), conflict (another process has a tier
/// open, or the backup is of another version), those of stores and database, unavailable (the
/// disk).
Result<std::vector<RestoredPart>> restore_backup(object::ObjectStore& source,
                                                 const BackupManifest& manifest,
                                                 const RestorePlaces& places, const Clock& clock);

}  // namespace asahi::memory
