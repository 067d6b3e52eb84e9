"""The prompts of a pipelines file: what each says, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.asking.prompts import SPEECH
from service.domain.asking.templates import Source as VariableSource
from service.domain.asking.templates import Variable, parse
from service.domain.errors import Problem
from service.domain.pipeline import Message
from service.domain.pipelines.answer_schemas import ReadFile, Structure, structure
from service.domain.pipelines.raw import RawPrompt
from service.domain.pipelines.shape import Source
from service.domain.pipelines.toml_lines import Path
from service.domain.spelling import did_you_mean, shown

WAYS: Final = ("prompt", "prompt_file", "messages")
"""How a prompt may say what it asks."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message of a prompt, where it stands, and the prompt file that it came from."""

    message: Message
    path: Path
    file: str | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A prompt on its way: at `path`, with what of it could be read. `broken`: a problem with it is told already."""

    raw: RawPrompt
    path: Path
    said: tuple[Said, ...]
    structure: Structure | None
    broken: bool

    def variables(self) -> Sequence[Variable]:
        return [each for said in self.said for each in parse(said.message.content or "").variables()]

    def needs(self) -> frozenset[str]:
        return frozenset(each.name for each in self.variables() if each.source is VariableSource.ANSWER)


def draft(
    raw: RawPrompt, path: Path, source: Source, dropped: frozenset[Path], read: ReadFile
) -> tuple[Draft, list[Problem]]:
    """The prompt's messages, and what is wrong with how they are given."""
    problems: list[Problem] = []
    given = [way for way in WAYS if getattr(raw, way) is not None]
    spoilt = any((*path, way) in dropped for way in WAYS)
    if raw.name is None and (*path, "name") not in dropped:
        problems.append(source.problem(path, "the prompt has no name", 'write `name = "summary"`'))
    structured, told = structure(raw, path, source, read)
    problems += told
    if len(given) > 1:
        what = f"`{given[0]}` and `{given[1]}` both say what to ask"
        problems.append(source.problem((*path, given[1]), what, "keep one of them"))
    if not given and not spoilt:
        problems.append(source.problem(path, "nothing says what to ask", "write `prompt`, `prompt_file` or `messages`"))
    said: tuple[Said, ...] = ()
    if len(given) == 1:
        found = list(_said(raw, (*path, given[0]), source, dropped, read))
        said = tuple(each for each in found if isinstance(each, Said))
        problems += [each for each in found if isinstance(each, Problem)]
    broken = spoilt or (*path, "schema") in dropped or bool(problems)
    return Draft(raw=raw, path=path, said=said, structure=structured, broken=broken), problems


def _said(
    raw: RawPrompt, path: Path, source: Source, dropped: frozenset[Path], read: ReadFile
) -> Iterator[Said | Problem]:
    if raw.prompt is not None:
        yield Said(message=Message(role="user", content=raw.prompt), path=path)
    if raw.prompt_file is not None:
        text = read(raw.prompt_file)
        if isinstance(text, Problem):
            yield source.problem(path, text.what, text.cure)
        else:
            yield Said(message=Message(role="user", content=text), path=path, file=raw.prompt_file)
    if raw.messages is not None:
        if not raw.messages:
            yield source.problem(path, "`messages` is empty", 'write `{ role = "user", content = "…" }` into it')
        for at, message in enumerate(raw.messages):
            place = (*path, at)
            if message.role == "assistant" and message.content is None and (*place, "content") not in dropped:
                yield Said(message=Message(role="assistant", content=None), path=place)
            elif message.role is not None and message.content is not None:
                yield Said(message=Message(role=message.role, content=message.content), path=place)
            else:
                missing = [key for key in ("role", "content") if getattr(message, key) is None]
                for key in [key for key in missing if (*place, key) not in dropped]:
                    cure = 'write it like `{ role = "user", content = "…" }`'
                    yield source.problem(place, f"the message has no `{key}`", cure)


def check_said(each: Draft, source: Source, *, utterances: bool) -> Iterator[Problem]:
    """The templates of one prompt. `utterances`: the pipeline's transcripts will have them."""
    faulty = False
    yield from _check_turns(each, source)
    for said in each.said:
        if said.message.content is None:
            continue
        if not said.message.content.strip():
            yield source.problem(said.path, "the text is empty", "write what to ask")
            faulty = True
        for fault in parse(said.message.content).faults:
            faulty = True
            where = f" in {said.file}, line {fault.line + 1}" if said.file else ""
            tag = None if said.file else fault.tag
            yield source.problem(said.path, f"{fault.what}{where}", fault.cure, tag)
    sources = [variable.source for variable in each.variables()]
    if sources.count(VariableSource.TRANSCRIPT) > 1:
        what = "`{{ transcript }}` stands there more than once, and the LLM Gateway fills only the first"
        cure = "keep one; further on, write of “the transcript” in words"
        yield source.problem(_where(each, VariableSource.TRANSCRIPT), what, cure, "transcript")
    if VariableSource.UTTERANCES in sources and not utterances:
        what = "`{{ utterances }}` needs a transcript with speakers or channels"
        cure = "set `speaker_labels = true` (or `multichannel = true`) below `[pipelines.transcript]`"
        yield source.problem(_where(each, VariableSource.UTTERANCES), what, cure, "utterances")
    content = {*SPEECH, VariableSource.ANSWER}
    if each.said and not faulty and not each.broken and not content & set(sources):
        what = "the prompt uses neither the transcript nor another answer"
        yield source.problem(each.path, what, "put `{{ transcript }}` where the transcript belongs")


def _check_turns(each: Draft, source: Source) -> Iterator[Problem]:
    """Wherever a conversation is asked, somebody must have said something since it was asked last."""
    asked = [said.path for said in each.said if said.message.content is None]
    cure = 'put a `{ role = "user", content = "…" }` before it, or take it out'
    heard = False
    for said in each.said:
        if said.message.content is None and not heard:
            yield source.problem(said.path, "the model is asked here, and no user message leads up to it", cure)
        heard = said.message.content is not None and (heard or said.message.role == "user")
    last = each.said[-1] if each.said else None
    if asked and last is not None and last.message.content is not None and not heard:
        what = "the model is asked once more at the end, and no user message leads up to it"
        yield source.problem(last.path, what, 'end with a `{ role = "user", content = "…" }`, or with what is asked')


def _where(each: Draft, wanted: VariableSource, name: str | None = None) -> Path:
    """The last message that has the variable."""
    for said in reversed(each.said):
        for variable in parse(said.message.content or "").variables():
            if variable.source is wanted and name in {None, variable.name}:
                return said.path
    return each.path


def check_needs(drafts: Sequence[Draft], source: Source, needed: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Answers that no prompt of the pipeline gives. `needed` has the names of all its prompts."""
    for each in drafts:
        for name in sorted(each.needs() - needed.keys()):
            near = did_you_mean(name, needed)
            cure = f"did you mean `answers.{near}`?" if near else "name a prompt of this pipeline"
            what = f"there is no prompt {shown(name)} to take an answer from"
            yield source.problem(_where(each, VariableSource.ANSWER, name), what, cure, f"answers.{name}")
