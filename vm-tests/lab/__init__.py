# SPDX-License-Identifier: GPL-2.0-only
"""What vm-tests/run is made of: kernels, images, guests, the list of cases, and what came of them."""
import importlib
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "vm-tests"
# Kernels, images and consoles; `make clean` removes it.
CACHE = pathlib.Path(os.environ.get("NFR_VM_CACHE", ROOT / "build-vm"))


class Trouble(Exception):
    """Something that the person who typed the command can mend; the text says what and how."""


def guest_module(name: str):
    """A module of vm-tests/guest, which stands alone there: the guest's Python finds no lab."""
    if str(HERE / "guest") not in sys.path:
        sys.path.insert(0, str(HERE / "guest"))
    return importlib.import_module(name)
