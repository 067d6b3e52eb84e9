"""Pipelines files from text, for tests."""

from pathlib import Path

import pytest

from service.domain.errors import Problem, Refused
from service.domain.pipelines.file import Loaded, load

HEAD = """\
[defaults]
model = "m"
[[pipelines]]
name = "calls"
match = ["**/*"]
"""
PROMPT = """\
[[pipelines.prompts]]
name = "summary"
prompt = "{{ transcript }}"
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "pipelines.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(folder: Path, text: str) -> Loaded:
    return load(written(folder, text))


def refused(folder: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(Refused) as caught:
        load(written(folder, text))
    assert caught.value.__cause__ is None
    return list(caught.value.problems)
