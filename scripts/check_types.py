#!/usr/bin/env python3
"""Finds types with a body that two files define under one name in one namespace. The linker takes either silently (one
definition rule), and the program crashes far from the cause. Types of an unnamed namespace, of a function, and of a test
program that is not linked with the other are free."""
import collections
import pathlib
import re
import sys

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|^[ \t]*#(?:[^\n\\]|\\.|\\\n)*|R"(?P<delimiter>[^(\s]*)\(.*?\)(?P=delimiter)"|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)*'|[A-Za-z_]\w*|::|[{}();<>=:,\[\]]|\n", re.S | re.M)


def types_of(text: str):
    """Yields (line, qualified name) of each type that `text` defines outside functions and unnamed namespaces."""
    scopes = []  # name of a namespace or type; None: a function's or an initialiser's braces, or an unnamed namespace
    statement, line = [], 1
    for found in TOKEN.finditer(text):
        token = found.group()
        if token[0] in "\n/#\"'" or token.startswith('R"'):
            line = 1 + text.count("\n", 0, found.end()) if token != "\n" else line + 1
            continue
        if token == "{":
            name = scope_name(statement)
            if name and name[0] == "type" and None not in scopes:
                yield line, "::".join([*scopes, name[1]])
            scopes.append(name[1] if name else None)
            statement = []
        elif token == "}":
            if scopes:
                scopes.pop()
            statement = []
        elif token == ";":
            statement = []
        else:
            statement.append(token)


def scope_name(statement):
    """("namespace" or "type", name) of the scope that the words before a brace open; nothing where it has no name of its own."""
    words = without_templates(statement)
    if words and words[0] == "namespace" or words[:2] == ["inline", "namespace"]:
        names = [word for word in words if word not in ("inline", "namespace")]
        return ("namespace", "".join(names)) if names else None
    for at, word in enumerate(words):
        if word in ("(", "="):
            return None
        if word in ("class", "struct", "union", "enum"):
            rest = [w for w in words[at + 1:] if w not in ("class", "struct", "final")]
            while rest[:2] == ["[", "["]:  # attributes
                rest = rest[rest.index("]") + 2:]
            name = []
            for part in rest:
                if part in (":", "<", "("):
                    break
                name.append(part)
            if rest[len(name):len(name) + 1] == ["("]:  # a function that returns `struct X`
                return None
            specialised = rest[len(name):len(name) + 1] == ["<"]
            return ("namespace" if specialised else "type", "".join(name)) if name else None
    return None


def without_templates(statement):
    """The statement without its leading `template <...>` and access words."""
    words = list(statement)
    while words and words[0] in ("template", "public", "private", "protected", ":", "typedef", "export"):
        if words[0] != "template":
            words = words[1:]
            continue
        depth, at = 0, 1
        while at < len(words):
            depth += {"<": 1, ">": -1}.get(words[at], 0)
            at += 1
            if depth == 0:
                break
        words = words[at:]
    return words


def program_of(path: str) -> str:
    """Tests and tools are linked per module; the product's files all into one program."""
    is_test = path.endswith("_test.cc") or "/testing/" in path
    return path.split("/")[0] if is_test else ""


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    places = collections.defaultdict(dict)
    for file in sorted(root.rglob("*")):
        if file.suffix not in (".h", ".cc"):
            continue
        relative = file.relative_to(root).as_posix()
        for line, name in types_of(file.read_text()):
            places[name].setdefault(relative, line)
    faults = 0
    for name, files in sorted(places.items()):
        for program in sorted({program_of(path) for path in files}):
            together = [path for path in files if program_of(path) in ("", program)]
            if len(together) > 1:
                faults += 1
                print(f"{name}: " + ", ".join(f"src/{path}:{files[path]}" for path in together))
                break
    if faults:
        print(f"{faults} names stand for two types: rename one, or put it into an unnamed namespace")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
