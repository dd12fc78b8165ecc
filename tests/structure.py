#!/usr/bin/env python3
"""Reports who imports whom, and fails on a circle between files or an import that goes up.

    tests/structure.py            this tree
    tests/structure.py --edges    also each import between parts, as `PART -> PART`
    tests/structure.py ROOT       another tree

It reads the library and the command under `src/`, and the module and the package under
`python/`. It leaves out tests: whatever stands under `#[cfg(test)]` and its like, and the files
declared there. A part is a file or folder at the top of one of the four; the module is one part.

An import of a file is:

- In Rust, a name that a `use` brings in, and a path in code that begins with `crate`, `super`,
  `self`, `maint`, a child module or a name in scope. Declaring a module (`mod x;`) is none.
- In Python, every `import`, wherever it stands, except under `if TYPE_CHECKING`.

A name counts for the file that defines it, not for one that passes it on: `crate::page::Reply`
imports `page/reply.rs`. So a `mod.rs` or an `__init__.py` that only declares and re-exports
imports nothing; once its own code uses the name, it does. A call of a method is no import,
since the type came with one.
"""

import ast
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# The floors, lowest first. A part imports from lower floors only, not from its own or above.
FLOORS = """
src/           visible drain
src/           sys digest shell
src/           actor
src/           error
src/           format
src/           zone
src/           time access site
src/           request
src/           rules
src/           state
src/           page load replace identity
src/           flags fleet
src/           store gate watch live
src/           doctor http_types actix testing agent
src/           tower serve
src/           internal lib
src/bin/maint/ exit text signals manager
src/bin/maint/ complete clock
src/bin/maint/ args
src/bin/maint/ output
src/bin/maint/ session report failure http
src/bin/maint/ fleet store
src/bin/maint/ on agent bypass flag ignore wait
src/bin/maint/ check completions demo doctor help init log
src/bin/maint/ alter man off page path proxy restore run serve snippet status template
src/bin/maint/ main
python/        src
python/pysrc/maint/ _asking
python/pysrc/maint/ __init__ _middleware
python/pysrc/maint/ asgi wsgi django testing
"""

# The roots of the crates.
RUST = {"maint": "src/lib.rs", "command": "src/bin/maint/main.rs", "_maint": "python/src/lib.rs"}
PACKAGE = "python/pysrc"


Crate = dict[tuple[str, ...], "Module"]


class Import(NamedTuple):
    file: str
    line: int
    target: str
    name: str


# Rust

TEST_ONLY = re.compile(r"#\[cfg\((?!not)[^\]]*\b(?:test|doctest|fuzzing)\b[^\]]*\]")
NO_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\[^\n]+?|[^\\'\n])'""", re.S
)
USE = re.compile(r"\b(pub(?:\s*\([^)]*\))?\s+)?use\s+([^;]+);")
INNER = re.compile(r"\bmod\s+(\w+)\s*\{")
DECLARED = re.compile(r"\bmod\s+(\w+)\s*;")
PATH = re.compile(r"(?<![\w:.])[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+")


def blanked(text: str, start: int, end: int) -> str:
    """The text with spaces in place of a part of it; lines stay where they are."""
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def end_of_item(text: str, start: int) -> int:
    """Where an item ends: after its `;`, or the brace that closes it."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0 and text[at] in ";}":
            return at + 1
    return len(text)


def code_of(text: str) -> str:
    """The text without comments, literals and tests."""
    text = NO_CODE.sub(lambda found: blanked(found[0], 0, len(found[0])), text)
    while found := TEST_ONLY.search(text):
        text = blanked(text, found.start(), end_of_item(text, found.end()))
    return text


def leaves(tree: str) -> Iterator[tuple[list[str], str]]:
    """`a::{b, c as d}` as `([a, b], b)` and `([a, c], d)`."""
    prefix, brace, inner = tree.partition("{")
    if not brace:
        path, _, alias = tree.partition(" as ")
        names = [name.strip() for name in path.split("::")]
        if names[-1] in ("self", "*"):
            alias = alias or names[-1].replace("self", names[-2])
            names.pop()
        yield names, alias.strip() or names[-1]
        return
    depth, start, inner = 0, 0, inner.rpartition("}")[0] + ","
    for at, character in enumerate(inner):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            if inner[start:at].strip():
                yield from leaves(prefix.strip() + inner[start:at].strip())
            start = at + 1


class Module:
    """A module of a crate: a file or what stands in braces, and the modules declared there."""

    def __init__(self, crate: Crate, path: tuple[str, ...], file: str, code: str, folder: Path):
        self.crate, self.path, self.file = crate, path, file
        crate[path] = self
        while found := INNER.search(code):
            end = end_of_item(code, found.start())
            inner = blanked(blanked(code, 0, found.end()), end - 1, len(code))
            Module(crate, (*path, found[1]), file, inner, folder / found[1])
            code = blanked(code, found.start(), end)
        for name in DECLARED.findall(code):
            beside, below = folder / f"{name}.rs", folder / name / "mod.rs"
            read_module(crate, (*path, name), beside if beside.exists() else below)
        self.uses = [
            (found.start(), bool(found[1]), names, alias)
            for found in USE.finditer(code)
            for names, alias in leaves(" ".join(found[2].split()))
        ]
        self.scope = {alias: names for _, _, names, alias in self.uses}
        self.code = USE.sub(lambda found: blanked(found[0], 0, len(found[0])), code)

    def imports(self, crates: dict[str, Crate]) -> Iterator[Import]:
        for at, is_public, names, alias in self.uses:
            target = self.resolve(names, crates)
            # A module that is brought into scope counts by the paths that go through it.
            is_module = target and alias != "*" and target.path[-1:] == (names[-1],)
            is_needed = alias != "*" and re.search(rf"\b{alias}\b", self.code)
            if target and not is_module and (is_needed or not is_public):
                yield self.import_at(at, target, names)
        for found in PATH.finditer(self.code):
            names = re.split(r"\s*::\s*", found[0])
            target = self.resolve(names, crates)
            if target:
                yield self.import_at(found.start(), target, names)

    def import_at(self, at: int, target: "Module", names: list[str]) -> Import:
        return Import(self.file, self.code.count("\n", 0, at) + 1, target.file, "::".join(names))

    def resolve(
        self, names: list[str], crates: dict[str, Crate], depth: int = 0
    ) -> "Module | None":
        """The file that defines a name used here, or `None` for a name of another crate."""
        module, (head, *rest) = self, names
        if head == "crate":
            module = self.crate[()]
        elif head == "maint" and self.crate is not crates["maint"]:
            module = crates["maint"][()]
        elif head == "super":
            ups = names.count("super")
            module, rest = self.crate[self.path[: len(self.path) - ups]], names[ups:]
        elif head != "self":
            # `use http;` names another crate, and would lead to itself forever.
            if (*self.path, head) not in self.crate and (head not in self.scope or depth > 9):
                return None
            rest = names
        while rest:
            child = (*module.path, rest[0])
            if child in module.crate:
                module, rest = module.crate[child], rest[1:]
            elif rest[0] in module.scope and module.scope[rest[0]] != rest:
                return module.resolve([*module.scope[rest[0]], *rest[1:]], crates, depth + 1)
            else:
                break
        return module


def read_module(crate: Crate, path: tuple[str, ...], file: Path) -> None:
    folder = file.parent if file.stem in ("lib", "main", "mod") else file.with_suffix("")
    Module(crate, path, str(file), code_of(file.read_text()), folder)


def of_rust() -> tuple[set[str], list[Import]]:
    crates: dict[str, Crate] = {name: {} for name in RUST}
    for name, file in RUST.items():
        read_module(crates[name], (), Path(file))
    modules = [module for crate in crates.values() for module in crate.values()]
    return {module.file for module in modules}, [
        one for module in modules for one in module.imports(crates)
    ]


# Python


class Package:
    """The modules below a folder, by their dotted names."""

    def __init__(self, folder: str) -> None:
        self.files, self.trees = {}, {}
        for path in sorted(Path(folder).rglob("*.py")):
            names = path.relative_to(folder).with_suffix("").parts
            name = ".".join(names[:-1] if names[-1] == "__init__" else names)
            self.files[name] = str(path)
            self.trees[name] = ast.parse(path.read_text())
        # The module of Rust is known by its stub, and stands for all of its sources.
        self.files["maint._maint"] = RUST["_maint"]
        self.found = {name: list(self.imported(name)) for name in self.trees}

    def imported(self, module: str) -> Iterator[tuple[int, str, str, str]]:
        """Line, module, name in it, and the name here, of each import."""
        package = (
            module if self.files[module].endswith("__init__.py") else module.rpartition(".")[0]
        )
        for node in runs(self.trees[module]):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield node.lineno, name.name, "", name.asname or name.name
            elif isinstance(node, ast.ImportFrom):
                ups = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*ups, *filter(None, [node.module])]) if node.level else node.module
                for name in node.names:
                    yield node.lineno, base or "", name.name, name.asname or name.name

    def resolve(self, module: str, name: str) -> "str | None":
        """The file that defines a name, or `None` for a name of another package."""
        if f"{module}.{name}" in self.files:
            return self.files[f"{module}.{name}"]
        for _, base, inner, alias in self.found.get(module, []):
            if alias == name and inner:
                return self.resolve(base, inner) or self.files.get(module)
        return self.files.get(module)

    def imports(self, module: str) -> Iterator[Import]:
        used = {node.id for node in ast.walk(self.trees[module]) if isinstance(node, ast.Name)}
        for line, base, name, alias in self.found[module]:
            target = self.resolve(base, name)
            is_passed_on = self.files[module].endswith("__init__.py") and alias not in used
            if target and not (name and is_passed_on):
                yield Import(self.files[module], line, target, ".".join(filter(None, [base, name])))


def runs(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, except those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from runs(child)


def of_python() -> tuple[set[str], list[Import]]:
    package = Package(PACKAGE)
    files = {package.files[module] for module in package.trees}
    return files, [one for module in package.trees for one in package.imports(module)]


# The judgement


def part_of(file: str) -> str:
    """`src/gate/plan.rs` is of `src/gate`, and all of the module of `python/src`."""
    for top in ("src/bin/maint/", "python/src/", "python/pysrc/maint/", "src/"):
        if file.startswith(top):
            inside = file[len(top) :].split("/")[0].partition(".")[0]
            return top.rstrip("/") if top == "python/src/" else top + inside
    raise ValueError(file)


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The files that reach each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(edges[node]):
            if target not in index:
                visit(target)
            if target in stack:
                low[node] = min(low[node], low[target])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) > at + 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def judge(root: Path, is_whole: bool = True) -> tuple[list[str], str, list[str]]:
    """The faults of a tree, a line that sums it up, and the imports between its parts.

    Every part of a whole tree is in the table, and the other way round.
    """
    floors = {
        folder + part: number
        for number, (folder, *parts) in enumerate(map(str.split, FLOORS.strip().splitlines()))
        for part in parts
    }
    os.chdir(root)
    (rust, in_rust), (python, in_python) = of_rust(), of_python()
    files: dict[str, set[str]] = {file: set() for file in rust | python}
    between = defaultdict(list)
    imports = sorted(one for one in {*in_rust, *in_python} if one.file != one.target)
    for one in imports:
        files[one.file].add(one.target)
        pair = part_of(one.file), part_of(one.target)
        if pair[0] != pair[1]:
            between[pair].append(one)
    parts = {part_of(file) for file in files}

    def shown(which: list[Import]) -> str:
        return "".join(f"\n    {one.file}:{one.line}: {one.name} ({one.target})" for one in which)

    faults = [f"no floor: {part}: add it to FLOORS" for part in sorted(parts - floors.keys())]
    if is_whole:
        faults += [
            f"no part: {part}: drop it from FLOORS" for part in sorted(floors.keys() - parts)
        ]
    rounds = circles(files)
    for circle in rounds:
        # One import for each pair of files is enough to see the way round.
        pairs = {(one.file, one.target): one for one in reversed(imports)}
        within = [one for pair, one in sorted(pairs.items()) if {*pair} <= {*circle}]
        faults.append(f"circle: {', '.join(circle)}{shown(within)}")
    known = [pair for pair in between if {*pair} <= floors.keys()]
    upwards = [pair for pair in known if floors[pair[0]] <= floors[pair[1]]]
    for pair in upwards:
        faults.append(f"upwards: {' -> '.join(pair)}{shown(between[pair])}")
    in_use = {floors.get(part) for part in parts}
    summary = (
        f"structure: {len(files)} files in {len(parts)} parts on {len(in_use)} floors, "
        f"{len(between)} imports between parts, {len(rounds)} circles, {len(upwards)} upwards"
    )
    return faults, summary, [" -> ".join(pair) for pair in sorted(between)]


PLANTED = {
    "src/lib.rs": "mod error; pub mod page; mod rules; mod state; pub use page::Page;",
    "src/error.rs": "pub struct Error;",
    # A module that passes on a name of its child, which imports the module in a test alone.
    "src/page/mod.rs": "mod reply;\npub use reply::Page;",
    "src/page/reply.rs": "pub struct Page;\n#[cfg(test)]\nmod tests { use crate::page::Page; }",
    "src/rules.rs": "// use crate::state::State;\nuse crate::error::Error;",
    "src/state.rs": 'use crate::rules;\nconst A: &str = "crate::page::B";\nfn f() { rules::g() }',
    "src/bin/maint/main.rs": "mod args;\nfn main() { args::f() }",
    "src/bin/maint/args.rs": "use maint::Page;",
    "python/src/lib.rs": "use maint::Page;",
    "python/pysrc/maint/__init__.py": "from maint._maint import Page",
    "python/pysrc/maint/wsgi.py": "from . import Page",
    "python/pysrc/maint/asgi.py": "",
}
FAULTS = {
    "upwards: src/rules -> src/state": {
        "src/rules.rs": "use crate::{error::Error, state::{State as S}};"
    },
    "upwards: src/error -> src/page": {"src/error.rs": "fn f() { crate::page::Page::new() }"},
    "circle: src/page/mod.rs, src/page/reply.rs": {
        "src/page/mod.rs": "mod reply;\npub use reply::Page;\nfn f(_: Page) {}\npub struct Own;",
        "src/page/reply.rs": "use super::Own;\npub struct Page;",
    },
    "circle: src/bin/maint/args.rs, src/bin/maint/main.rs": {
        "src/bin/maint/args.rs": "use crate::main;"
    },
    "circle: python/pysrc/maint/asgi.py, python/pysrc/maint/wsgi.py": {
        "python/pysrc/maint/wsgi.py": "def f():\n    from maint import asgi",
        "python/pysrc/maint/asgi.py": "from .wsgi import f",
    },
    "no floor: src/util": {"src/lib.rs": PLANTED["src/lib.rs"] + " mod util;", "src/util.rs": ""},
}


def find_the_planted() -> list[str]:
    """The trees that this script judges wrongly: one is sound, and each other has one fault."""
    wrong = []
    for fault, changed in {"": {}, **FAULTS}.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**PLANTED, **changed}.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            found, _, _ = judge(Path(folder), is_whole=False)
        if not any(one.startswith(fault) for one in found) if fault else found:
            wrong.append(f"planted: {fault or 'nothing'}: found {found}")
    return wrong


def main(words: list[str]) -> int:
    options = {word for word in words if word.startswith("--")}
    roots = [Path(word) for word in words if word not in options] or [
        Path(__file__).resolve().parents[1]
    ]
    faults, summary, between = judge(roots[0])
    faults += find_the_planted()
    print(*faults, *(between if "--edges" in options else ()), summary, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
