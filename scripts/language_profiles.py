#!/usr/bin/env python3
"""Writes src/memory/text/language_data.cc: for each language the most frequent parts of words, most frequent first, as the Debian
package libexttextcat-data (BSD-3-Clause, WiseGuys Internet B.V. and its contributors) has them.

language_profiles.py FOLDER     FOLDER: /usr/share/libexttextcat"""
import pathlib
import sys

LANGUAGES = "ar bg cs da de en es fa fi fr hr hu id it nb nl pl pt ro ru sk sv tr uk vi".split()
MOST = 300
TARGET = pathlib.Path(__file__).resolve().parent.parent / "src/memory/text/language_data.cc"

lines = []
for language in LANGUAGES:
    text = (pathlib.Path(sys.argv[1]) / f"{language}.lm").read_text(encoding="utf-8")
    parts = [line.split("\t")[0].strip() for line in text.splitlines() if line.strip()]
    kept = [part for part in parts if 2 <= len(part) <= 4 and part.strip("_")][:MOST]
    lines.append(f'    {{"{language}",\n     R"({" ".join(kept)})"}},')
TARGET.write_text('''// Written by scripts/language_profiles.py out of libexttextcat-data (docs/dependencies.md). An underscore is the edge of a word.
#include "memory/text/language.h"

namespace asahi::memory::text {

// clang-format off
const std::array<LanguageProfile, kProfiles> kLanguageProfiles = {{
''' + "\n".join(lines) + '''
}};
// clang-format on

}  // namespace asahi::memory::text
''', encoding="utf-8")
print(f"{len(LANGUAGES)} languages")
