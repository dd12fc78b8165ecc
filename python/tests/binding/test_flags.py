"""Flags follow what Python changes."""

from pathlib import Path

import pytest

import maint


@pytest.fixture
def site(tmp_path: Path) -> maint.Site:
    """A site with a flag, an empty file `down`, as the command declares it."""
    site = maint.Site.create(tmp_path / ".maint")
    (tmp_path / ".maint" / "flags.json").write_text(
        '{"version": 1, "flags": {"it": {"kind": "file", "path": "%s"}}}' % (tmp_path / "down")
    )
    return site


def test_a_flag_follows_on_and_off_and_the_change_tells(site: maint.Site, tmp_path: Path) -> None:
    down = tmp_path / "down"
    (flag,) = site.on().flags
    assert down.exists()
    assert (flag["id"], flag["kind"], flag["wanted"]) == ("it", "file", "default")
    assert (flag["found"], flag["in_step"], flag["changed"]) == ("set", True, True)
    (flag,) = site.off().flags
    assert not down.exists()
    assert (flag["wanted"], flag["found"]) == (None, "clear")


def test_what_does_not_follow_is_a_warning_and_can_be_mended(
    site: maint.Site, tmp_path: Path
) -> None:
    down = tmp_path / "down"
    down.write_text("mine")
    (warning,) = site.on().warnings
    assert "flag `it` does not follow" in warning
    (flag,) = site.flags()
    assert (flag["found"], flag["in_step"]) == ("somebody-elses", False)
    assert "somebody else made it" in flag["problem"]
    down.unlink()
    (flag,) = site.sync_flags("it")
    assert flag["in_step"] is True
    assert down.exists()


def test_a_flag_that_is_unknown_is_an_error(site: maint.Site) -> None:
    with pytest.raises(maint.UsageError, match="no flag named `nope`"):
        site.sync_flags("nope")
