"""Flag files of the checkout are read once in a module: dozens of rows name them again and again, and none changes."""

from pathlib import Path
from unittest import mock

import pytest
from checkout import CONFIGS

from mmtf.report import flagfile


@pytest.fixture(autouse=True, scope="module")
def _flag_files_once():
    read, found = flagfile.read, {}

    def once(path, further=()):
        if CONFIGS not in Path(path).parents:
            return read(path, further)
        key = path, tuple(further)
        if key not in found:
            found[key] = read(path, further)
        return found[key]

    with mock.patch.object(flagfile, "read", once):
        yield
