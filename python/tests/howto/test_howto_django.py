"""`docs/django.md`, followed as written from an empty directory.

There are two exceptions. `pip install` is not run: the package under test and its
dependencies are already beside the Python that runs this test. And the port is a
free one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path

import pytest

from guide import Reader, is_as_shown, look_at_install, missing_tools, read

GUIDE = Path(__file__).parents[3] / "docs" / "django.md"


def test_the_guide_is_followed_from_top_to_bottom_as_written(
    tmp_path: Path, maint_binary: str
) -> None:
    if missing := missing_tools():
        pytest.skip(f"SKIPPED: docs/django.md: no {', '.join(missing)}")
    steps = read(GUIDE.read_text())
    with contextlib.closing(Reader(tmp_path, maint_binary, "shop")) as reader:
        for step in steps:
            try:
                reader.follow(step)
            except Exception as error:
                pytest.fail(f"docs/django.md:{step.line}: {error}", pytrace=False)
    assert len(steps) > 50, f"{len(steps)} steps"


def test_every_row_of_the_usual_how_to_is_in_the_guide() -> None:
    text = GUIDE.read_text()
    for row in (
        "pip install django ./maint/python",
        '"maint.django",',
        '"maint.django.middleware.MaintenanceModeMiddleware",',
        "<!-- test: file templates/503.html -->",
        "MAINTENANCE_MODE = True",
        "MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True",
        "@force_maintenance_mode_off\ndef ",
        "force_maintenance_mode_off(views.Contact.as_view())",
        "MAINTENANCE_MODE = False",
        "@force_maintenance_mode_on\ndef ",
        "force_maintenance_mode_on(views.Orders.as_view())",
        'MAINTENANCE_MODE_TEMPLATE = "errors/503.html"',
    ):
        assert row in text, row


def test_what_is_shown_is_compared_line_by_line() -> None:
    answer = ["a b", "c", "d"]
    for shown in (["a b", "c", "d"], ["a…", "…", "d"], ["…", "c"], ["a b", "…"], []):
        assert is_as_shown(shown, answer), shown
    for shown in (["a", "c"], ["c"], ["…", "e"], ["a b", "d"]):
        assert not is_as_shown(shown, answer), shown


def test_an_install_that_fails_today_is_found() -> None:
    look_at_install("pip install pytest ./maint/python\n")
    for command in (
        "pip install maint",
        "pip install pytest maint",
        "pip install ./maint",
        "pip install ./maint/python ./maint/none",
        "pip install ./maint/python maint",
    ):
        with pytest.raises(AssertionError):
            look_at_install(command)


def test_a_fence_that_nobody_knows_is_an_error_and_so_is_a_comment_without_one() -> None:
    with pytest.raises(ValueError, match="not followed by a fence"):
        read("<!-- test: settings -->\ntext\n")
    [step] = read("```python\nx = 1\n```\n")
    assert (step.what, step.language, step.line) == ("", "python", 1)


def _first_cells(section: str) -> set[str]:
    text = GUIDE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", text, re.M))


def test_the_guide_lists_every_setting() -> None:
    from maint.django.settings import READERS

    assert _first_cells("All settings") == set(READERS)


def test_the_guide_lists_every_check() -> None:
    package = importlib.util.find_spec("maint.django")
    assert package and package.origin
    sources = Path(package.origin).parent.rglob("*.py")
    known = {id for file in sources for id in re.findall(r"maint\.[EW]\d{3}", file.read_text())}
    assert known and _first_cells("System checks") == known
