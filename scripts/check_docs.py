#!/usr/bin/env python3
"""Holds the documents to the code: relative links in *.md lead somewhere, the README's module table is the list of folders
below src/, metric names exist in the source, and every setting of the gateway is in the configuration reference."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
METRIC = re.compile(r"\basahi_[a-z0-9_]+\b")
# What Prometheus adds to the name of a histogram.
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


def tracked(*patterns: str) -> list[pathlib.Path]:
    """Files that are in Git or would be added to it."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in sorted(set(out.stdout.splitlines())) if (ROOT / line).is_file()]


def without_code(text: str) -> str:
    text = re.sub(r"^(```+|~~~+).*?^\1\s*$", lambda block: "\n" * block.group().count("\n"), text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchor_of(heading: str) -> str:
    """GitHub's rule: lower case, no punctuation, hyphens for blanks."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors_of(path: pathlib.Path) -> set[str]:
    text = re.sub(r"^(```+|~~~+).*?^\1\s*$", "", path.read_text(), flags=re.M | re.S)
    return {anchor_of(found) for found in re.findall(r"^#{1,6}\s+(.*)$", text, flags=re.M)}


def check_links(pages: list[pathlib.Path]) -> list[str]:
    faults = []
    for page in pages:
        for number, line in enumerate(without_code(page.read_text()).splitlines(), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z][a-z0-9+.-]*:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                where = f"{page.relative_to(ROOT)}:{number}"
                if path.startswith("/"):
                    faults.append(f"{where}: {target} is absolute; links are relative to the page")
                elif not file.exists():
                    faults.append(f"{where}: {target} does not exist")
                elif anchor and file.suffix == ".md" and anchor not in anchors_of(file):
                    faults.append(f"{where}: {target} names a heading that does not exist")
    return faults


def check_modules() -> list[str]:
    listed = set(re.findall(r"^\| `src/([a-z_]+)` \|", (ROOT / "README.md").read_text(), flags=re.M))
    folders = {entry.name for entry in (ROOT / "src").iterdir() if entry.is_dir()}
    return ([f"README.md: the module table lacks src/{name}" for name in sorted(folders - listed)]
            + [f"README.md: the module table names src/{name}, which does not exist" for name in sorted(listed - folders)])


def check_metrics(pages: list[pathlib.Path]) -> list[str]:
    known: set[str] = set()
    for file in tracked("src/*.cc", "src/*.h"):
        if not file.name.endswith("_test.cc"):
            known |= set(METRIC.findall(file.read_text()))
    # Names that are targets or functions of the build, not metrics.
    for file in tracked("CMakeLists.txt", "*/CMakeLists.txt", "cmake/*.cmake"):
        known |= set(METRIC.findall(file.read_text()))
    faults = []
    for page in pages:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for name in METRIC.findall(line):
                base = next((name.removesuffix(part) for part in HISTOGRAM_PARTS if name.endswith(part)), name)
                if name not in known and base not in known:
                    faults.append(f"{page.relative_to(ROOT)}:{number}: no metric {name} in src/")
    return faults


def check_settings() -> list[str]:
    sources, page = sorted((ROOT / "src/gateway").rglob("config.cc")), ROOT / "docs/operate/configuration.md"
    documented = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", page.read_text()))))
    keys = {key for source in sources for key in re.findall(r"\.?\bvalue\(\s*\"([a-z0-9_]+)\"", source.read_text())}
    return [f"docs/operate/configuration.md: the setting {key} is missing" for key in sorted(keys - documented)]


def main() -> int:
    pages = tracked("*.md")
    faults = check_links(pages) + check_modules() + check_metrics(pages) + check_settings()
    for fault in faults:
        print(fault)
    if not faults:
        print(f"{len(pages)} documents agree with the code")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
