"""What `help()` shows: the documentation in Rust, which the stubs repeat for editors.

`MAINT_REGENERATE=1 pytest tests/packaging/test_docstrings.py` writes it into the stubs.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maint
from maint import _maint

PACKAGE = Path(__file__).parents[2]
STUBS = PACKAGE / "pysrc" / "maint" / "_maint.pyi"

Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def nodes(tree: ast.Module) -> Iterator[tuple[str, Documented, Any]]:
    """Everything in the stubs that has a docstring, by its name, and what it is in Rust."""
    yield "_maint", tree, _maint
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node, getattr(_maint, node.name)
        if isinstance(node, ast.ClassDef):
            owner = getattr(_maint, node.name)
            yield node.name, node, owner
            for member in node.body:
                # What makes an object is described with its class.
                if isinstance(member, ast.FunctionDef) and member.name != "__new__":
                    name = f"{node.name}.{member.name}"
                    value = inspect.getattr_static(owner, member.name)
                    # The docstring of a static method is that of its function.
                    yield name, member, getattr(value, "__func__", value)


STUBBED = [name for name, _, _ in nodes(ast.parse(STUBS.read_text()))]


def found(name: str) -> tuple[Documented, Any]:
    tree = ast.parse(STUBS.read_text())
    [(node, value)] = [(node, value) for each, node, value in nodes(tree) if each == name]
    return node, value


def regenerate() -> None:
    """Puts every docstring of the module into the stubs."""
    text = STUBS.read_text()
    lines = text.splitlines()
    of_module = inspect.getdoc(_maint)
    places = list(nodes(ast.parse(text)))
    for _, node, value in reversed(places):
        if isinstance(node, ast.Module):
            lines[: node.body[0].end_lineno] = [f'"""{of_module}"""']
            continue
        indent = " " * (node.col_offset + 4)
        doc = inspect.getdoc(value) or ""
        docstring = [indent + line if line else "" for line in f'"""{doc}'.split("\n")]
        docstring[-1] += '"""' if len(docstring) == 1 else f'\n{indent}"""'
        body = node.body[0]
        if isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant):
            # A docstring, or `...` on the line of its function.
            head = lines[body.lineno - 1][: body.col_offset].rstrip()
            lines[body.lineno - 1 : body.end_lineno] = [head, *docstring] if head else docstring
        else:
            decorators = getattr(body, "decorator_list", [])
            line = min(each.lineno for each in (body, *decorators)) - 1
            lines[line:line] = [*docstring, ""]
    STUBS.write_text("\n".join(lines) + "\n")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(STUBS)], check=True)


if os.environ.get("MAINT_REGENERATE"):
    regenerate()


@pytest.mark.parametrize("name", STUBBED)
def test_the_stubs_repeat_what_help_shows(name: str) -> None:
    node, value = found(name)
    shown = inspect.getdoc(value)
    assert shown and shown.endswith("."), name
    # `help()` indents by up to eight columns.
    assert max(len(line) for line in shown.splitlines()) <= 72, shown
    assert ast.get_docstring(node) == shown, "stale: MAINT_REGENERATE=1 writes the stubs"


@pytest.mark.parametrize("name", [name for name in STUBBED if name != "_maint"])
def test_help_shows_the_signature_that_the_stubs_promise(name: str) -> None:
    node, value = found(name)
    if isinstance(node, ast.ClassDef):
        new = [each for each in node.body if getattr(each, "name", "") == "__new__"]
        if not new:
            return
        [node] = new  # type: ignore[list-item]
    assert isinstance(node, ast.FunctionDef)
    is_property = any(getattr(each, "id", "") == "property" for each in node.decorator_list)
    if is_property:
        assert inspect.isgetsetdescriptor(value), name
        return
    shown = [
        (each.name, each.kind.name, each.default)
        for each in inspect.signature(value).parameters.values()
        if each.name != "self"
    ]
    assert shown == list(promised(node.args)), name


def promised(arguments: ast.arguments) -> Iterator[tuple[str, str, Any]]:
    """Name, kind and default of each parameter of the stubs but for `self` and `cls`."""
    plain = arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for kind, parameters, values in [
        ("POSITIONAL_OR_KEYWORD", plain, defaults),
        ("KEYWORD_ONLY", arguments.kwonlyargs, arguments.kw_defaults),
    ]:
        for parameter, default in zip(parameters, values, strict=True):
            if parameter.arg not in ("self", "cls"):
                value = inspect.Parameter.empty if default is None else ast.literal_eval(default)
                yield parameter.arg, kind, value
        if kind == "POSITIONAL_OR_KEYWORD" and arguments.vararg is not None:
            yield arguments.vararg.arg, "VAR_POSITIONAL", inspect.Parameter.empty


@pytest.mark.parametrize("module", ["maint", "maint.wsgi", "maint.asgi", "maint.testing"])
def test_every_public_name_in_python_has_a_docstring(module: str) -> None:
    imported = importlib.import_module(module)
    assert imported.__doc__
    for name in imported.__all__:
        value = getattr(imported, name)
        if isinstance(value, str):
            continue
        assert inspect.getdoc(value), name
        own = vars(value) if isinstance(value, type) else {}
        for member, function in own.items():
            is_documented = callable(function) or isinstance(function, property)
            if is_documented and not member.startswith("_") and member != "setUp":
                assert inspect.getdoc(function), f"{name}.{member}"


def test_everything_that_the_package_exports_is_documented_and_in_the_stubs() -> None:
    for name in maint.__all__:
        value = getattr(maint, name)
        if isinstance(value, str):
            continue
        assert name in STUBBED, name
        if isinstance(value, type):
            assert value.__module__ == "maint", name
            own = {key for key in vars(value) if not key.startswith("_")}
            stubbed = {each.partition(".")[2] for each in STUBBED if each.startswith(f"{name}.")}
            if not issubclass(value, Exception):
                assert own == {each for each in stubbed if not each.startswith("_")}, name
