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
    prices: tuple[float, float] = (1.0, 5.0)
    """Dollars a million tokens, in and out."""
    retires_at: int = 0
    """Epoch seconds; 0 as long as nothing is planned."""

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
            "pricing": {
                "global": {"prompt": self.prices[0] / 1e6, "completions": self.prices[1] / 1e6},
                "regional_increase_percent": 10,
            },
            "retirement_date": self.retires_at,
            "available_regions": ["us", "eu"] if self.family in {"anthropic", "google"} else ["us"],
            "providers": [provider],
            "default_provider": provider,
        }


_PRICES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "claude-haiku": (1.0, 5.0),
        "claude-sonnet": (3.0, 15.0),
        "claude-opus": (5.0, 25.0),
        "gpt-4": (2.0, 8.0),
        "gpt-5": (1.25, 10.0),
        "gpt-5-mini": (0.25, 2.0),
        "gpt-oss": (0.15, 0.6),
        "gemini-2.5-flash": (0.3, 2.5),
        "gemini-2.5-flash-lite": (0.1, 0.4),
        "gemini-2.5-pro": (1.25, 10.0),
        "gemini-3": (0.5, 3.0),
        "qwen": (0.1, 0.3),
    }
)
"""By how ids begin; the longest that fits counts."""


def _model(
    name: str, family: Family, context: int, *features: tuple[str, ...], plain: tuple[str, ...] = _PLAIN
) -> Model:
    supported = tuple(parameter for group in (plain, *features) for parameter in group)
    begins = max((each for each in _PRICES if name.startswith(each)), key=len)
    return Model(name, family, context, supported, _PRICES[begins])


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
        _model("gpt-oss-120b", "openai", 128_000, _SAMPLING, _TOOLS, plain=("max_tokens",)),
    )
    return {model.id: model for model in models}
