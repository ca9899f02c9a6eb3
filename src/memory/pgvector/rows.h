#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/model/record.h"
#include "storage/sql/database.h"

namespace asahi::memory::pg {

/// A time as the columns have it, and back.
std::int64_t ns_of(Clock::Time time);
Clock::Time time_of(std::int64_t ns);

/// The columns that `read_row` wants, of the table under the name `c`. `seen`: the keys of what
/// repeats the row, the first 100.
extern const std::string_view kRowColumns;

enum class SeenIn : std::uint8_t {
  kLeftOut,  ///< the metadata as it was written
  kAdded,    ///< with `seen_in`, as stores answer
};
/// Errors: corrupt for a row that nobody here wrote.
Result<Memory> read_row(const sql::Rows& rows, std::size_t at, SeenIn seen_in);

/// INSERT of the memory, or UPDATE of its row. `duplicate`: it repeats another row's content.
sql::Statement write_row(const Memory& memory, bool duplicate);

/// "[0.1,0.2]", each number as short as it can be without loss.
std::string vector_text(const std::vector<float>& vector);
/// A JSON array of the keys, for `json_keys`.
std::string keys_json(const std::vector<Key>& keys);
/// A FROM item: the keys of one parameter as k(tenant, system_id, conversation_id), in order by n.
extern const std::string_view kJsonKeys;
std::string strings_json(const std::vector<std::string>& strings);
/// The strings of one parameter as an SQL array.
extern const std::string_view kJsonStrings;

/// A metadata field and one of its values as `facts` has them.
std::string fact(std::string_view field, std::string_view value);
/// All of a metadata object: a list gives one for each member. Names and values are cut where they
/// are long (512 bytes together).
std::vector<std::string> facts_of(std::string_view metadata);
/// Text without U+0000, which PostgreSQL's cannot hold: a blank stands in its place.
std::string without_nul(std::string_view text);

/// What two fingerprints that are nearly the same share one of, with great probability: 16 bands of
/// 8 rows (dedup/lsh.h). Nothing for the empty fingerprint.
std::vector<std::int64_t> bands_of(const Fingerprint& fingerprint);

}  // namespace asahi::memory::pg
