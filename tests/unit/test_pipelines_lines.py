"""Finding the line of a key in a TOML text."""

import pytest

from service.domain.pipelines.toml_lines import Path, scan

TEXT = '''\
# comment = 1
[defaults]            # [not.a.table]
model = "m"           # [[nor.this]]
text = """
[in.a.text]
inside = 1 {{ x }}
"""
raw = \'\'\'
[in.a.text]
\'\'\'
list = [
  "a", # ]
  { b = "[" },
]
"quoted key" = 1
dotted.key = 2

[[pipelines]]
name = "a"
  [[ pipelines . prompts ]]
  name = "one"
  [[pipelines.prompts]]
  name = "two"
[pipelines.outputs]
captions = []
[[pipelines]]
[[pipelines.prompts]]
name = "three"
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("defaults",), 2),
        (("defaults", "model"), 3),
        (("defaults", "text"), 4),
        (("defaults", "raw"), 8),
        (("defaults", "list"), 11),
        (("defaults", "list", 1, "b"), 11),
        (("defaults", "quoted key"), 15),
        (("defaults", "dotted", "key"), 16),
        (("pipelines", 0), 18),
        (("pipelines", 0, "prompts", 0, "name"), 21),
        (("pipelines", 0, "prompts", 1), 22),
        (("pipelines", 0, "outputs", "captions"), 25),
        (("pipelines", 1), 26),
        (("pipelines", 1, "prompts", 0, "name"), 28),
        (("pipelines", 1, "match"), 26),
        (("nothing",), 1),
        ((), 1),
    ],
)
def test_the_line_of(path: Path, line: int) -> None:
    assert scan(TEXT).of(path) == line


def test_a_tag_is_found_below_its_key_and_before_the_next() -> None:
    lines = scan(TEXT)
    assert lines.of(("defaults", "text"), "{{ x }}") == 6
    assert lines.of(("defaults", "text"), "three") == 4
    assert lines.of(("pipelines", 1, "prompts", 0, "name"), "three") == 28
