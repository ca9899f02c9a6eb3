#!/usr/bin/env python3
"""Holds every #include below src/ to the layers of docs/architecture.md: a file may include lower layers and its own
module, never a higher layer or a sibling. Only net/ may include Beast and Asio's socket headers."""
import pathlib
import re
import sys

LAYERS = {
    "base": 0, "telemetry": 1, "net": 2,
    "storage/sql": 3, "storage/cache": 3, "storage/object": 3, "storage/vector": 3, "storage/columnar": 3, "storage/stream": 3,
    "storage/vector/open": 4, "jobs": 4, "llm": 4, "identity": 4,
    "gateway": 5, "memory": 5, "workflow": 5,
    "twin": 6, "server": 7,
}
NET_ONLY = re.compile(r"#include <boost/(beast|asio/(ip|ssl|buffered|local|basic_(stream_)?socket|connect|read|write))")
INCLUDE = re.compile(r'^\s*#include "([^"]+)"')


def module_of(path: str):
    best = None
    for module in LAYERS:
        if path == module or path.startswith(module + "/"):
            if best is None or len(module) > len(best):
                best = module
    return best


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    faults = []
    for file in sorted(root.rglob("*")):
        if file.suffix not in (".h", ".cc"):
            continue
        relative = file.relative_to(root).as_posix()
        own = module_of(relative)
        if own is None:
            faults.append(f"src/{relative}: belongs to no module of the layer table")
            continue
        # A module's testing/ folder and tests may use whatever a test needs from layers below.
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if own != "net" and NET_ONLY.match(line):
                faults.append(f"src/{relative}:{number}: only net/ includes {line.split()[1]}")
            found = INCLUDE.match(line)
            if not found:
                continue
            other = module_of(found.group(1))
            if other is None or other == own:
                continue
            if LAYERS[other] >= LAYERS[own]:
                faults.append(f"src/{relative}:{number}: {own} (layer {LAYERS[own]}) may not include {found.group(1)} "
                              f"({other}, layer {LAYERS[other]})")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
