"""Writes the generated parts of the documentation anew.

python -m tests.docs.write          the settings table
python -m tests.docs.write --demo   that, and the output of the demo, which is run for it
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from service.settings.load import VARIABLES
from tests.docs.pages import README, ROOT, read


def settings_table() -> str:
    """The settings as a table, in the order of the groups."""
    rows = [f"| `{each.name}` | {each.meaning} | {_shown(each.default)} |" for each in VARIABLES]
    return "\n".join(["| variable | meaning | default |", "|---|---|---|", *rows])


def _shown(default: str) -> str:
    return default if default in {"required", "empty", "none", "by region"} or " " in default else f"`{default}`"


def demo_output() -> str:
    """What the demo prints where there is no terminal, as a block; paths of this machine are shortened."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = str(Path(folder).resolve() / "demo")
        command = [sys.executable, "-m", "service", "demo", "--workdir", workdir]
        ran = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=True,
        )
    shown = ran.stdout.strip().replace(workdir, "/tmp/afterword-demo").replace(f"{ROOT}/", "")
    return f"```\n{shown}\n```"


def generated(text: str, name: str) -> str:
    """What stands between the marks of that name."""
    found = _marks(name).search(text)
    assert found is not None, f"there are no marks for {name}"
    return found[2].strip("\n")


def replaced(text: str, name: str, body: str) -> str:
    return _marks(name).sub(lambda found: f"{found[1]}\n{body}\n{found[3]}", text)


def _marks(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {name} -->)\n(.*?)(<!-- end -->)", re.DOTALL)


def main() -> None:
    text = replaced(read(README), "settings", settings_table())
    if "--demo" in sys.argv[1:]:
        text = replaced(text, "demo", demo_output())
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
