#!/usr/bin/env python3
"""Writes a real ONNX model that is as small as a model can be, for tests: each token has a vector, drawn from a hash of
the token, and the model looks them up. Also the vocabulary that goes with it.

tiny_model.py FOLDER [--width N] [--words a,b,c] [--kind tokens|pooled|no-types|other-input|float-ids]
Protocol buffers by hand: https://onnx.ai/onnx/repo-docs/IR.html"""
import argparse
import hashlib
import pathlib
import struct

FLOAT, INT64 = 1, 7
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def varint(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(name, shape, values):
    out = b"".join(number(1, size) for size in shape) + number(2, FLOAT) + block(8, name)
    return out + block(9, struct.pack(f"<{len(values)}f", *values))


def node(operation, inputs, outputs, ints=None):
    out = b"".join(block(1, name) for name in inputs) + b"".join(block(2, name) for name in outputs)
    out += block(4, operation)
    for name, values in (ints or {}).items():
        if isinstance(values, list):
            out += block(5, block(1, name) + b"".join(number(8, v) for v in values) + number(20, 7))
        else:
            out += block(5, block(1, name) + number(3, values) + number(20, 2))
    return out


def port(name, element, shape):
    dims = b"".join(block(1, number(1, s) if isinstance(s, int) else block(2, s)) for s in shape)
    return block(1, name) + block(2, block(1, number(1, element) + block(2, dims)))


def vector_of(token, width):
    """Numbers that a test can compute again: thousandths between -0.5 and 0.5, of SHA-256."""
    out = []
    for i in range(width):
        digest = hashlib.sha256(f"{token}/{i}".encode()).digest()
        out.append(int.from_bytes(digest[:4], "little") % 1001 / 1000 - 0.5)
    return out


def build(folder, words, width, kind):
    vocabulary = SPECIAL + words
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary), encoding="utf-8")
    # What fills short texts up must not count: it would show.
    rows = [[7.0] * width] + [vector_of(word, width) for word in vocabulary[1:]]
    initializers = [tensor("words", [len(rows), width], [x for row in rows for x in row])]
    ids = "position_ids" if kind == "other-input" else "input_ids"
    inputs = [port(ids, FLOAT if kind == "float-ids" else INT64, ["texts", "tokens"]),
              port("attention_mask", INT64, ["texts", "tokens"])]
    nodes = []
    looked_up = "last_hidden_state" if kind in ("no-types", "other-input") else "of_words"
    if kind == "float-ids":
        nodes.append(node("Cast", [ids], ["whole"], {"to": INT64}))
        ids = "whole"
    nodes.append(node("Gather", ["words", ids], [looked_up]))
    if looked_up == "of_words":
        # The first type adds nothing: what is fed there must be 0.
        initializers.append(tensor("types", [2, width], [0.0] * width + [9.0] * width))
        inputs.append(port("token_type_ids", INT64, ["texts", "tokens"]))
        nodes.append(node("Gather", ["types", "token_type_ids"], ["of_types"]))
        nodes.append(node("Add", ["of_words", "of_types"], ["last_hidden_state"]))
    outputs = [port("last_hidden_state", FLOAT, ["texts", "tokens", width])]
    if kind == "pooled":
        nodes.append(node("ReduceMax", ["last_hidden_state"], ["sentence_embedding"],
                          {"axes": [1], "keepdims": 0}))
        outputs.append(port("sentence_embedding", FLOAT, ["texts", width]))
    graph = b"".join(block(1, n) for n in nodes) + block(2, "tiny")
    graph += b"".join(block(5, i) for i in initializers)
    graph += b"".join(block(11, i) for i in inputs) + b"".join(block(12, o) for o in outputs)
    model = number(1, 8) + block(7, graph) + block(8, block(1, "") + number(2, 13))
    (folder / "model.onnx").write_bytes(model)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--words", default="hello,world,un,##affable,##s")
    parser.add_argument("--kind", default="tokens",
                        choices=["tokens", "pooled", "no-types", "other-input", "float-ids"])
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    build(chosen.folder, chosen.words.split(","), chosen.width, chosen.kind)


if __name__ == "__main__":
    main()
