"""Each broken prompt set-up is one problem with its place, what is wrong, and the cure."""

import re
from pathlib import Path

import pytest

from tests.unit.broken_prompts import BROKEN, Broken
from tests.unit.pipelines_samples import refused


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.lines[-40:]}: {broken.what[:40]}")
def test_a_broken_prompt_is_one_problem_with_its_line_and_cure(tmp_path: Path, broken: Broken) -> None:
    [problem] = refused(tmp_path, broken.written(tmp_path))
    assert problem.place == f"pipelines.toml:{broken.place}"
    assert re.search(broken.what, problem.what), problem
    assert re.search(broken.cure, problem.cure), problem
    assert str(problem).isprintable()
