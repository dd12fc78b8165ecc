"""Reading and writing small files, for back ends of projects."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress


def read_file(filepath: str | os.PathLike[str], default_content: str = "") -> str:
    """The text of a file; `default_content` if there is none."""
    try:
        with open(filepath, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return default_content


def write_file(filepath: str | os.PathLike[str], content: str) -> None:
    """Writes a file, and its directory if need be. A reader sees the old text or the new one."""
    path = os.path.realpath(filepath)
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    number, temporary = tempfile.mkstemp(dir=directory, prefix=f".{os.path.basename(path)}.")
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        set_file_permissions(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def set_file_permissions(filepath: str | os.PathLike[str]) -> None:
    """Lets everyone read a file, since servers run as another user, and only its owner write it."""
    os.chmod(filepath, 0o644)
