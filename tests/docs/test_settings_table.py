"""The table of the settings in the README is the one that the code reads."""

import re

from service.settings.load import VARIABLES
from tests.docs.pages import PAGES, README, read
from tests.docs.write import generated, settings_table


def test_the_settings_table_is_the_one_that_the_code_reads() -> None:
    assert generated(read(README), "settings") == settings_table(), "run `python -m tests.docs.write`"


def test_every_variable_that_the_pages_name_exists() -> None:
    known = {each.name for each in VARIABLES} | {f"{each.name}_FILE" for each in VARIABLES if each.secret}
    named = {name for page in PAGES for name in re.findall(r"\b(?:AFTERWORD|ASSEMBLYAI)_[A-Z_]+\b", read(page))}
    assert named - known == set()
