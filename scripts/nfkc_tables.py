#!/usr/bin/env python3
"""Writes src/memory/dedup/unicode_data.cc: NFKC with lower case, from Python's tables.
nfkc_tables.py > src/memory/dedup/unicode_data.cc"""
import sys
import unicodedata

LAST = 0x110000
HANGUL = range(0xAC00, 0xD7A4)  # put together by arithmetic
# Default_Ignorable_Code_Point without unassigned ones: they are seen by nobody.
IGNORED = {0xAD, 0x34F, 0x61C, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x180F, 0xFEFF, 0x3164, 0xFFA0, 0x115F, 0x1160}
IGNORED |= set(range(0x200B, 0x2010)) | set(range(0x202A, 0x202F)) | set(range(0x2060, 0x2070))
IGNORED |= set(range(0xFE00, 0xFE10)) | set(range(0xE0000, 0xE1000)) | set(range(0x1D173, 0x1D17B))
SPACES = {c for c in range(LAST) if chr(c).isspace()} | {c for c in range(LAST) if unicodedata.category(chr(c)).startswith("Z")}


def folded(code):
    if code in IGNORED:
        return ""
    if code in SPACES or (code < 0x20) or 0x7F <= code < 0xA0:
        return " "
    text = chr(code)
    while True:
        again = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
        again = "".join(c for c in again if ord(c) not in IGNORED)
        again = "".join(" " if ord(c) in SPACES else c for c in again)
        if again == text:
            return text
        text = again


def table(name, kind, rows):
    print(f"constexpr {kind} {name}[] = {{")
    line = " "
    for row in rows:
        if len(line) + len(row) > 98:
            print(line)
            line = " "
        line += f" {row},"
    print(line)
    print("};")


def main():
    runs, many, pool = [], [], []
    for code in range(0x80, LAST):
        if 0xD800 <= code < 0xE000 or code in HANGUL:
            continue
        to = [ord(c) for c in folded(code)]
        if to == [code]:
            continue
        if len(to) != 1:
            key = to
            at = next((i for i in range(len(pool) - len(key) + 1) if pool[i:i + len(key)] == key), None)
            if at is None:
                at = len(pool)
                pool += key
            many.append((code, at, len(to)))
            continue
        difference = to[0] - code
        if runs:
            first, last, step, before = runs[-1]
            gap = code - last
            if before == difference and gap in (1, 2) and step in (0, gap):
                runs[-1] = (first, code, gap, difference)
                continue
        runs.append((code, code, 0, difference))
    classes = []
    for code in range(LAST):
        kind = unicodedata.combining(chr(code)) if not 0xD800 <= code < 0xE000 else 0
        if classes and classes[-1][1] == code - 1 and classes[-1][2] == kind:
            classes[-1] = (classes[-1][0], code, kind)
        elif kind:
            classes.append((code, code, kind))
    pairs = []
    for code in range(LAST):
        if 0xD800 <= code < 0xE000 or code in HANGUL:
            continue
        parts = unicodedata.decomposition(chr(code))
        if not parts or parts.startswith("<") or " " not in parts:
            continue
        a, b = (int(p, 16) for p in parts.split())
        if unicodedata.normalize("NFC", chr(a) + chr(b)) == chr(code):
            pairs.append((a, b, code))
    pairs.sort()
    print(f"// Made by scripts/nfkc_tables.py from Unicode {unicodedata.unidata_version}; not to be edited.")
    print('#include "memory/dedup/unicode.h"\n\n// clang-format off\nnamespace asahi::memory::dedup {\nnamespace {\n')
    table("kRuns", "FoldRun", (f"{{{a:#x},{b:#x},{s or 1},{d}}}" for a, b, s, d in runs))
    print()
    table("kMany", "FoldMany", (f"{{{c:#x},{at},{n}}}" for c, at, n in many))
    print()
    table("kPool", "char32_t", (f"{c:#x}" for c in pool))
    print()
    table("kClasses", "MarkRange", (f"{{{a:#x},{b:#x},{k}}}" for a, b, k in classes))
    print()
    table("kPairs", "Pair", (f"{{{a:#x},{b:#x},{c:#x}}}" for a, b, c in pairs))
    print("""
}  // namespace

std::span<const FoldRun> fold_runs() { return kRuns; }
std::span<const FoldMany> fold_many() { return kMany; }
std::span<const char32_t> fold_pool() { return kPool; }
std::span<const MarkRange> mark_ranges() { return kClasses; }
std::span<const Pair> pairs() { return kPairs; }

}  // namespace asahi::memory::dedup""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
