// What an S3 server sends: XML that is read once reads again after it is written, and a list names
// only objects below the prefix asked for.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/markup.h"
#include "storage/object/s3_rules.h"
#include "storage/object/xml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi;
  using namespace asahi::object;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto page = parse_list(text, "p/")) {
    for (const ObjectInfo& object : page->objects) {
      if (object.key.ends_with('/')) std::abort();
    }
  }
  (void)s3_error("GET", 503, {}, text);
  const auto again = parse_xml("<a>" + escape_markup(decode_listed(encode_key(text))) + "</a>");
  if (!again || again->text != text) std::abort();
  return 0;
}
