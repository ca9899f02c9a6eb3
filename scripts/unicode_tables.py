#!/usr/bin/env python3
"""Writes src/llm/embed/onnx/unicode_data.cc: what BERT's tokeniser asks of Unicode, from Python's tables.
unicode_tables.py > src/llm/embed/onnx/unicode_data.cc"""
import sys
import unicodedata

LAST = 0x110000
HANGUL = range(0xAC00, 0xD7A4)  # taken apart by arithmetic
CLASSES = {"Mn": "kMark", "P": "kPunctuation", "Z": "kSpace", "Cc": "kControl", "Cf": "kControl",
           "Co": "kControl"}


def class_of(code):
    category = unicodedata.category(chr(code))
    return CLASSES.get(category) or CLASSES.get(category[0])


def ranges():
    """Code points of one class in a row."""
    first, kind = 0, class_of(0)
    for code in range(1, LAST + 1):
        now = class_of(code) if code < LAST else None
        if code < LAST and now == kind:
            continue
        if kind:
            yield first, code - 1, kind
        first, kind = code, now


def lower_runs():
    """(first, last, step, difference) of letters that have a lower case."""
    pairs = [(code, ord(chr(code).lower())) for code in range(LAST)
             if len(chr(code).lower()) == 1 and chr(code).lower() != chr(code)]
    runs = []
    for code, lower in pairs:
        if runs:
            first, last, step, difference = runs[-1]
            gap = code - last
            if lower - code == difference and gap in (1, 2) and (step in (0, gap)):
                runs[-1] = (first, code, gap, difference)
                continue
        runs.append((code, code, 0, lower - code))
    return [(first, last, step or 1, difference) for first, last, step, difference in runs]


def decompositions():
    """Code point to what is left of it when it is taken apart and its marks are dropped."""
    for code in range(LAST):
        if code in HANGUL or 0xD800 <= code < 0xE000:
            continue
        parts = unicodedata.normalize("NFD", chr(code))
        if parts == chr(code):
            continue
        kept = [ord(c) for c in parts if unicodedata.category(c) != "Mn"]
        assert len(kept) <= 3, hex(code)
        if kept:  # else a mark itself
            yield code, kept


def table(name, kind, rows):
    rows = list(rows)
    print(f"\nconstexpr {kind} {name}[] = {{")
    line = ""
    for row in rows:
        cell = "{" + ",".join(row) + "},"
        if len(line) + len(cell) > 98:
            print("  " + line)
            line = ""
        line += cell
    print("  " + line + "};")


def main():
    print(f"""// Made by scripts/unicode_tables.py from Unicode {unicodedata.unidata_version}; not to be edited.
#include "llm/embed/onnx/unicode.h"

// clang-format off
namespace asahi::llm::onnx {{
namespace {{""")
    table("kClasses", "ClassRange", ((hex(a), hex(b), f"CharClass::{c}") for a, b, c in ranges()))
    table("kLower", "LowerRun", ((hex(a), hex(b), str(s), str(d)) for a, b, s, d in lower_runs()))
    table("kParts", "Parts", ((hex(c), "{" + ",".join(hex(p) for p in kept) + "}")
                              for c, kept in decompositions()))
    print("""
}  // namespace

std::span<const ClassRange> class_ranges() { return kClasses; }
std::span<const LowerRun> lower_runs() { return kLower; }
std::span<const Parts> decompositions() { return kParts; }

}  // namespace asahi::llm::onnx""")


if __name__ == "__main__":
    sys.exit(main())
