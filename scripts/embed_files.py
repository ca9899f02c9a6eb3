#!/usr/bin/env python3
"""Writes a C++ file that holds other files: embed_files.py OUT.cc NAME=PATH … (a folder is taken whole; a YAML file
named .json becomes JSON)."""
import json
import pathlib
import sys


def contents(name: str, path: pathlib.Path) -> bytes:
    if path.suffix == ".yaml" and name.endswith(".json"):
        import yaml
        return json.dumps(yaml.safe_load(path.read_text()), separators=(",", ":"), default=str).encode()
    return path.read_bytes()


def literal(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 64):
        line = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data[at:at + 64])
        lines.append(f'"{line}"')
    return "\n".join(lines) or '""'


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    files = {}
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        root = pathlib.Path(path)
        if root.is_dir():
            for file in sorted(root.rglob("*")):
                if file.is_file():
                    inner = f"{name}/{file.relative_to(root).as_posix()}"
                    files[inner] = contents(inner, file)
        elif root.is_file():
            files[name] = contents(name, root)
    body = ['#include "gateway/embedded_files.h"', "", "#include <algorithm>", "#include <array>", "",
            "namespace asahi::gateway {", "namespace {", ""]
    names = sorted(files)
    for i, name in enumerate(names):
        body.append(f"// {name}\nconstexpr char kFile{i}[] =\n{literal(files[name])};\n")
    body.append(f"constexpr std::array<EmbeddedFile, {len(names)}> kFiles = {{{{")
    for i, name in enumerate(names):
        body.append(f'    {{"{name}", std::string_view(kFile{i}, sizeof kFile{i} - 1)}},')
    body += ["}};", "", "}  // namespace", "",
             "const EmbeddedFile* embedded_file(std::string_view name) {",
             "  const auto found = std::ranges::lower_bound(kFiles, name, {}, &EmbeddedFile::name);",
             "  return found != kFiles.end() && found->name == name ? &*found : nullptr;",
             "}", "", "}  // namespace asahi::gateway", ""]
    text = "\n".join(body)
    if not out.exists() or out.read_text() != text:
        out.write_text(text)


main()
