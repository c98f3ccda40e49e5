"""What the tests of several data sets need."""

import pytest

# Before it is imported: its assertions say what was compared.
pytest.register_assert_rewrite("dataset_contract")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Replace the developer's folders, TFDS' own among them, by empty ones."""
    monkeypatch.delenv("MMTF_DATA_DIR", raising=False)
    monkeypatch.setenv("MMTF_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "own"))
    return tmp_path / "own"
