"""Holds an answer back until the test releases it with a file, for at most two minutes."""

import os
import time
from pathlib import Path


def is_released() -> bool:
    return Path(os.environ["RELEASE_FILE"]).exists()


def wait() -> None:
    last = time.monotonic() + 120
    while not is_released():
        if time.monotonic() > last:
            raise TimeoutError("nobody let the answer go on")
        time.sleep(0.01)
