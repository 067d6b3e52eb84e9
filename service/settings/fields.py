"""What a setting is made of: a field that knows its variable, in a group of what is used together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from service.domain.errors import Problem
from service.settings import places


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A row of the settings table. `default` is as a person would write it; `cure` is for when it is missing."""

    name: str
    meaning: str
    default: str
    secret: bool
    cure: str


class Group(BaseModel):
    """Settings that are used together; fields are validated from the variables' texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def variables(cls) -> Sequence[Variable]:
        return [each for field in cls.model_fields.values() for each in field.metadata if isinstance(each, Variable)]

    @classmethod
    def incomplete(cls, _texts: Mapping[str, str]) -> Sequence[Problem]:
        """What is missing because another setting is there."""
        return ()

    def doubtful(self) -> Sequence[Problem]:
        """What is allowed and yet worth a warning."""
        return ()


def reads(read: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda text: None if text is None else read(text))


def anchored(value: Any, info: ValidationInfo) -> Any:
    """What lies on this machine made absolute by the base folder that the loader passes."""
    assert isinstance(info.context, dict)
    base: Path = info.context["base"]
    return replace(value, path=places.absolute(base, value.path)) if isinstance(value, places.OnDisk) else value


ANCHORED: Final = AfterValidator(anchored)


def variable(
    name: str, meaning: str, default: str | None = None, *, shown: str = "", secret: bool = False, cure: str = ""
) -> Any:
    """A field that is read from a variable. Required where there is neither a `default` nor one `shown`."""
    row = Variable(name=name, meaning=meaning, default=default or shown or "required", secret=secret, cure=cure)
    if default is None and not shown:
        field = Field(alias=name)
    else:
        field = Field(default=default, alias=name, validate_default=True)
    field.metadata.append(row)
    return field
