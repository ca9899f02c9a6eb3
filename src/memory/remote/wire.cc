#include "memory/remote/wire.h"

#include "memory/hot/codec.h"

namespace asahi::memory::remote {

void write(std::string& out, const Memory& value) {
  const std::size_t at = out.size();
  write(out, std::uint32_t{0});
  hot::encode_upsert(value, out);
  const auto size = static_cast<std::uint32_t>(out.size() - at - sizeof(std::uint32_t));
  std::memcpy(out.data() + at, &size, sizeof(size));
}

void read(In& in, Memory& value) {
  const auto view = hot::parse_upsert(in.bytes(read_count(in)));
  if (!view) return in.refuse();
  value = view->decode();
}

}  // namespace asahi::memory::remote
