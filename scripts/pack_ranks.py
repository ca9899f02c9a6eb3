#!/usr/bin/env python3
"""Turns a rank table of tiktoken ("base64 rank" a line) into the table that src/llm/tokens/ranks.h maps:
pack_ranks.py IN.tiktoken OUT.bin"""
import array
import base64
import pathlib
import sys

MASK = (1 << 64) - 1
SLOT_LOAD = 0.5
ID_BITS = 18


def hash_of(token: bytes) -> int:
    """The same as hash_of in ranks.h."""
    h = (len(token) * 0x9E3779B97F4A7C15) & MASK
    for at in range(0, len(token), 8):
        h ^= int.from_bytes(token[at:at + 8], "little")
        h = (h * 0xD6E8FEB86659FD93) & MASK
        h ^= h >> 32
    return h


def main() -> None:
    source, target = map(pathlib.Path, sys.argv[1:])
    tokens: list[bytes] = []
    for line in source.read_bytes().splitlines():
        if not line:
            continue
        text, rank = line.split()
        if int(rank) != len(tokens):
            sys.exit(f"{source}: rank {rank.decode()} where {len(tokens)} was expected")
        tokens.append(base64.b64decode(text))
    if len(tokens) + 1 >= 1 << ID_BITS:
        sys.exit(f"{source}: more tokens than the table has room for")
    slot_bits = 1
    while (1 << slot_bits) * SLOT_LOAD < len(tokens):
        slot_bits += 1
    slots = array.array("I", [0]) * (1 << slot_bits)
    offsets = array.array("I", [0])
    for rank, token in enumerate(tokens):
        offsets.append(offsets[-1] + len(token))
        h = hash_of(token)
        slot = h & ((1 << slot_bits) - 1)
        while slots[slot]:
            slot = (slot + 1) & ((1 << slot_bits) - 1)
        slots[slot] = (rank + 1) | (h >> 46 & 0x3FFF) << ID_BITS
    header = array.array("I", [0x42504531, len(tokens), slot_bits, max(map(len, tokens))])
    for part in (header, offsets, slots):
        if part.itemsize != 4:
            sys.exit("array('I') is not 4 bytes wide here")
        if sys.byteorder != "little":
            part.byteswap()
    target.write_bytes(header.tobytes() + offsets.tobytes() + slots.tobytes() + b"".join(tokens))


main()
