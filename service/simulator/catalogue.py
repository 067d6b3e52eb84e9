"""The Gateway's catalogue: a selection of the vendor's ids, with what each supports. Prices are the stand-in's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from service.simulator.wire import Json

Family = Literal["anthropic", "openai", "google", "qwen"]
_FAMILY_NAMES: Final[Mapping[Family, str]] = MappingProxyType(
    {"anthropic": "Anthropic", "openai": "OpenAI", "google": "Google", "qwen": "Alibaba"}
)
_PLAIN: Final = ("max_tokens", "stream")
_TOOLS: Final = ("tools", "tool_choice")
_SAMPLING: Final = ("temperature", "top_p")
_FORMAT: Final = ("response_format",)
_REASONING: Final = ("reasoning",)
GOVERNED: Final = frozenset(
    {
        "stream",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "top_k",
        "response_format",
        "reasoning",
        "frequency_penalty",
    }
)
"""Parameters that only some models take; the others are the Gateway's own and always allowed."""


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    family: Family
    context_length: int
    supported: tuple[str, ...]

    def lacks(self, parameter: str) -> bool:
        return parameter in GOVERNED and parameter not in self.supported

    @property
    def stop(self) -> str:
        """How the provider says that an answer is whole."""
        return {"anthropic": "end_turn", "google": "STOP"}.get(self.family, "stop")

    @property
    def cut(self) -> str:
        """How the provider says that an answer reached `max_tokens`."""
        return {"anthropic": "max_tokens", "google": "MAX_TOKENS"}.get(self.family, "length")

    def document(self) -> Json:
        """Every field that the official SDK insists on."""
        provider = {"id": self.family, "name": _FAMILY_NAMES[self.family]}
        return {
            "id": self.id,
            "name": self.id,
            "description": f"{self.id}, as the stand-in offers it: answers are extracts, not thoughts.",
            "creator": _FAMILY_NAMES[self.family],
            "context_length": self.context_length,
            "supported_parameters": list(self.supported),
            "default_parameters": {"temperature": None, "top_p": None, "frequency_penalty": None},
            "top_provider": {
                "is_moderated": False,
                "context_length": self.context_length,
                "max_completion_tokens": 32_000,
            },
            "pricing": {"global": {"prompt": 1e-6, "completions": 5e-6}, "regional_increase_percent": 10},
            "retirement_date": 0,
            "available_regions": ["us", "eu"] if self.family in {"anthropic", "google"} else ["us"],
            "providers": [provider],
            "default_provider": provider,
        }


def _model(name: str, family: Family, context: int, *features: tuple[str, ...]) -> Model:
    return Model(name, family, context, tuple(parameter for group in (_PLAIN, *features) for parameter in group))


def catalogue() -> dict[str, Model]:
    """By id."""
    models = (
        _model("claude-haiku-4-5-20251001", "anthropic", 200_000, _SAMPLING, _TOOLS, _FORMAT, _REASONING),
        _model("claude-sonnet-4-5-20250929", "anthropic", 200_000, _SAMPLING, _TOOLS, _FORMAT, _REASONING),
        _model("claude-sonnet-4-6", "anthropic", 200_000, _SAMPLING, _TOOLS, _FORMAT, _REASONING),
        _model("claude-sonnet-5", "anthropic", 1_000_000, _TOOLS, _REASONING),
        _model("claude-opus-4-6", "anthropic", 200_000, _SAMPLING, _TOOLS, _FORMAT, _REASONING),
        _model("claude-opus-4-7", "anthropic", 200_000, _TOOLS, _REASONING),
        _model("claude-opus-5", "anthropic", 1_000_000, _TOOLS, _REASONING),
        _model("gpt-4.1", "openai", 1_000_000, _SAMPLING, _TOOLS),
        _model("gpt-5", "openai", 400_000, _TOOLS, _FORMAT, _REASONING),
        _model("gpt-5-mini", "openai", 400_000, _TOOLS, _FORMAT, _REASONING),
        _model("gpt-5.2", "openai", 400_000, _TOOLS, _FORMAT, _REASONING),
        _model("gemini-2.5-flash", "google", 1_000_000, _SAMPLING, _TOOLS, _FORMAT),
        _model("gemini-2.5-flash-lite", "google", 1_000_000, _SAMPLING, _TOOLS, _FORMAT),
        _model("gemini-2.5-pro", "google", 1_000_000, _SAMPLING, _TOOLS, _FORMAT),
        _model("gemini-3.6-flash", "google", 1_000_000, _SAMPLING, _TOOLS, _FORMAT, _REASONING),
        _model("qwen3-next-80b-a3b", "qwen", 128_000, _SAMPLING, _TOOLS, _FORMAT),
        _model("qwen3.5-4b-32k-fast", "qwen", 32_000, _SAMPLING),
        Model("gpt-oss-120b", "openai", 128_000, ("max_tokens", "temperature", "top_p", "tools", "tool_choice")),
    )
    return {model.id: model for model in models}
