"""What came of trying things."""

from dataclasses import dataclass, field

from service.domain.errors import Problem


@dataclass(kw_only=True)
class Tried:
    """What did not work, and what is doubtful."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def bad(self, place: str, what: str, cure: str) -> None:
        self.problems.append(Problem(place=place, what=what, cure=cure))

    def doubt(self, place: str, what: str, cure: str) -> None:
        self.warnings.append(Problem(place=place, what=what, cure=cure))
