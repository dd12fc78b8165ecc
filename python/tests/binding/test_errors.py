"""Failures as exceptions: a class for each kind, with what a program may want to know."""

from __future__ import annotations

import errno
import fcntl
import os
import pickle
from pathlib import Path

import pytest

import maint

#: Every kind that the library has, see `maint::ErrorKind`.
KINDS = {
    maint.UsageError: "usage",
    maint.NotApplied: "not_applied",
    maint.Busy: "busy",
    maint.Conflict: "conflict",
    maint.Unsynced: "unsynced",
    maint.Unreadable: "unreadable",
    maint.Corrupt: "corrupt",
    maint.StoreError: "store",
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_app_can_raise_each_kind_in_its_tests(kind: type[maint.MaintError]) -> None:
    with pytest.raises(maint.MaintError, match=r"^why$") as raised:
        raise kind("why")
    error = raised.value
    assert type(error) is kind and kind.__module__ == "maint" and kind.__doc__
    assert (error.code, error.path, error.errno, error.hint) == (KINDS[kind], None, None, None)
    assert f"`{error.code}`" in kind.__doc__


def test_there_is_a_class_for_each_kind_and_no_other() -> None:
    assert set(maint.MaintError.__subclasses__()) == set(KINDS)
    exported = {getattr(maint, name) for name in maint.__all__}
    assert set(KINDS) < exported
    library = Path(__file__).parents[3] / "src" / "error.rs"
    words = library.read_text().partition("pub fn as_str(self)")[2].partition("\n    }\n")[0]
    known = {line.split('"')[1] for line in words.splitlines() if '=> "' in line}
    assert set(KINDS.values()) == known


def test_the_guide_has_each_class_as_help_describes_it() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "flask.md").read_text()
    for kind, code in KINDS.items():
        assert kind.__doc__ is not None
        what = kind.__doc__.partition(":")[0].removesuffix(".")
        row = f"| `maint.{kind.__name__}` | `{code}` | {what[0].lower()}{what[1:]} |"
        assert row in guide, row


def test_a_failure_survives_pickling(site: maint.Site) -> None:
    Path(site.state_file).write_text("broken")
    with pytest.raises(maint.Corrupt) as raised:
        site.state()
    error = raised.value
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is maint.Corrupt and str(again) == str(error)
    assert vars(again) == vars(error) and again.code == "corrupt"


def test_a_wrong_name_is_a_usage_error(site: maint.Site) -> None:
    with pytest.raises(maint.UsageError, match="no ignore rule named `r9`") as raised:
        site.remove_rule("r9")
    assert (raised.value.path, raised.value.hint) == (None, "there is none")
    assert str(raised.value).endswith("; there is none")


def test_a_state_that_makes_no_sense_is_corrupt(site: maint.Site) -> None:
    Path(site.state_file).write_text("{")
    for read in (site.state, site.open_windows, site.off):
        with pytest.raises(maint.Corrupt) as raised:
            read()
        assert raised.value.path == site.state_file


def test_a_state_that_cannot_be_read_is_unreadable(site: maint.Site) -> None:
    state = Path(site.state_file)
    state.unlink()
    state.symlink_to(state.name)
    with pytest.raises(maint.Unreadable) as raised:
        site.state()
    assert (raised.value.path, raised.value.errno) == (site.state_file, errno.ELOOP)


def test_a_directory_that_cannot_be_made_is_not_applied(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(maint.NotApplied) as raised:
        maint.Site.create(tmp_path / "file" / ".maint")
    assert raised.value.errno == errno.EEXIST and raised.value.path


def test_a_lock_that_another_writer_holds_is_busy(site: maint.Site) -> None:
    site.on()
    [lock] = [name for name in os.listdir(site) if "lock" in name]
    with open(Path(site.directory) / lock, "r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(maint.Busy) as raised:
            site.off()
    assert raised.value.path and raised.value.path.endswith(lock)
    assert site.open_windows() == ["default"]


def test_hints_name_no_option_of_the_command(tmp_path: Path) -> None:
    project = maint.Site.create(tmp_path / "project" / ".maint")
    make = "to make a site: `maint init` in the project"
    for directory, hint in [
        (tmp_path / "nowhere", make),
        (tmp_path, make),
        (tmp_path / "project", f"it has a site: `{project.directory}`"),
    ]:
        with pytest.raises(maint.UsageError) as raised:
            maint.Site.discover(directory)
        assert raised.value.hint == hint
