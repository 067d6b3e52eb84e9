"""Prompt set-ups that `check` refuses: one table, each with the one problem that it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.pipelines_samples import HEAD

P = "pipelines[calls].prompts[summary]"
ASKS = "prompt = '{{ transcript }}'\n"
"""Line 8 of a file; what follows is on line 9."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """`lines` stand below the prompt's name, `files` beside the pipelines file; `what` and `cure` are expressions."""

    lines: str
    place: str
    what: str
    cure: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    def written(self, folder: Path) -> str:
        """The pipelines file, once the others lie beside it."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"{HEAD}[[pipelines.prompts]]\nname = 'summary'\n{self.lines}\n"


def said(lines: str, place: str, what: str, cure: str, **files: str | bytes) -> Broken:
    named = {f"{name}.md": content for name, content in files.items()}
    return Broken(lines=lines, place=place, what=what, cure=cure, files=named)


def asked(lines: str, place: str, what: str, cure: str, line: int = 9) -> Broken:
    return Broken(lines=ASKS + lines, place=f"{line} {P}{place}", what=what, cure=cure)


def schema(document: Any, at: str, what: str, cure: str) -> Broken:
    """A schema in a file, with a flaw at the JSON pointer `at`."""
    content = document if isinstance(document, str) else json.dumps(document)
    where = rf".* \(in schemas/a.json, `#{at.replace('$', chr(92) + '$')}`\)$" if at != "-" else ""
    line = f"{ASKS}schema = 'schemas/a.json'"
    files = {"schemas/a.json": content}
    return Broken(lines=line, place=f"9 {P}.schema", what=what + where, cure=cure, files=files)


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def pointing(pointer: str, what: str, cure: str, line: str = "schema = 'schemas/triage.json'") -> Broken:
    """An attribute that cannot be made of the answer."""
    lines = f"{ASKS}{line}\n[pipelines.attributes]\na = '{pointer}'"
    place = "11 pipelines[calls].attributes.a"
    return Broken(lines=lines, place=place, what=what, cure=cure, files={"schemas/triage.json": json.dumps(TRIAGE)})


TEXT = {"type": "string"}
TRIAGE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/triage.json",
    "type": "object",
    "required": ["sentiment", "customer", "topics"],
    "properties": {
        "sentiment": {"enum": ["positive", "neutral", "negative"]},
        "customer": {"$ref": "#/$defs/customer"},
        "topics": {"type": "array", "items": {"type": "string"}},
        "moments": {"type": "array", "items": {"$ref": "#/$defs/customer"}},
        "grid": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "agent": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/customer"}]},
        "a.b": {"type": "string"},
    },
    "$defs": {
        "customer": {
            "type": "object",
            "properties": {"tier": {"type": ["string", "null"]}, "years": {"type": "number"}},
        }
    },
}

WORDS: list[Broken] = [
    said("", f"6 {P}", "nothing says what to ask", "write `prompt`, `prompt_file` or `messages`"),
    said("prompt = ''", f"8 {P}.prompt", "text is empty", "write what to ask"),
    said('prompt = " \\n"', f"8 {P}.prompt", "text is empty", "write what to ask"),
    said("prompt = 'Hello'", f"6 {P}", "neither the transcript nor another answer", "put `{{ transcript }}`"),
    said("prompt = '{{ source.key }}'", f"6 {P}", "neither the transcript nor another answer", "put"),
    said('prompt = """\nA\n{{ transcrip }}"""', f"10 {P}.prompt", "no variable `transcrip`", "mean `transcript`"),
    said("prompt = '{{ transcript | upper }}'", f"8 {P}.prompt", "filter", "leave out"),
    said("prompt = '{{ f(transcript) }}'", f"8 {P}.prompt", "call", "write one of"),
    said("prompt = '{% for x in y %}{{ transcript }}'", f"8 {P}.prompt", "statement", "take it out"),
    said("prompt = '{{ transcript'", f"8 {P}.prompt", "never closed", "close it"),
    said(
        "prompt = '{{ answers.other }}'", f"8 {P}.prompt", "no prompt `other` to take an answer from", "name a prompt"
    ),
    said("prompt = '{{ answers.sumary }}'", f"8 {P}.prompt", "no prompt `sumary`", "did you mean `answers.summary`"),
    said("prompt = '{{ answers.summary }}'", f"6 {P}", "wait for each other: summary → summary", "let one"),
    said("prompt = '{{ answers.summary.mood }}'", f"8 {P}.prompt", "points into an answer", "that is its JSON"),
    said("prompt = '{{ transcript }} {{transcript}}'", f"8 {P}.prompt", "more than once", "keep one"),
    said("prompt = '{{ utterances }}'", f"8 {P}.prompt", "speakers or channels", "set `speaker_labels = true`"),
    said("prompt_file = '../x.md'", f"8 {P}.prompt_file", "outside the folder", "move it beside"),
    said("prompt_file = '/etc/hostname'", f"8 {P}.prompt_file", "outside the folder", "move it beside"),
    said("prompt_file = 'none.md'", f"8 {P}.prompt_file", "`none.md`: there is no such file", "name a UTF-8 text file"),
    said('prompt_file = "a\\u0000b"', f"8 {P}.prompt_file", "outside the folder", "move it"),
    said("prompt_file = '.'", f"8 {P}.prompt_file", "cannot be read", "name a UTF-8"),
    said("prompt_file = 'latin.md'", f"8 {P}.prompt_file", "byte 2 is not UTF-8", "name a UTF-8", latin=b"a\xff"),
    said(
        "prompt_file = 'wrong.md'",
        f"8 {P}.prompt_file",
        "`transcrip` in wrong.md, line 2",
        "did you mean",
        wrong="A\n{{ transcrip }}",
    ),
    said("messages = []", f"8 {P}.messages", "`messages` is empty", "write"),
    said("messages = [{ content = '{{ transcript }}' }]", f"8 {P}.messages[#1]", "has no `role`", "write it like"),
    said("messages = [{ role = 'user' }]", f"8 {P}.messages[#1]", "has no `content`", "write it like"),
    said("messages = [{ role = 'tool', content = 'x' }]", f"8 {P}.messages[#1].role", "'user' or 'assist", "role = "),
    said(
        "messages = [{ role = 'assistant' }, { role = 'user', content = '{{ transcript }}' }]",
        f"8 {P}.messages[#1]",
        "is asked here, and no user message leads up to it",
        "put a",
    ),
    said(
        "messages = [{ role = 'system', content = '{{ transcript }}' }, { role = 'assistant' }]",
        f"8 {P}.messages[#2]",
        "is asked here, and no user message leads up to it",
        "put a",
    ),
    said(
        "messages = [{ role = 'user', content = '{{ transcript }}' }, { role = 'assistant' }, { role = 'assistant' }]",
        f"8 {P}.messages[#3]",
        "is asked here, and no user message leads up to it",
        "put a",
    ),
    said(
        "messages = [{role='user', content='{{ transcript }}'}, {role='assistant'}, {role='system', content='x'}]",
        f"8 {P}.messages[#3]",
        "asked once more at the end",
        "end with a",
    ),
    said(
        "messages = [\n{ role = 'user', content = '{{ transcript }}' },\n{ role = 'user', content = '{{ x }}' },\n]",
        f"10 {P}.messages[#2]",
        "no variable `x`",
        "write one of",
    ),
    said(
        "messages = [{ role = 'user', content = '{{transcript}}' }, { role = 'user', content = '{{ transcript }}' }]",
        f"8 {P}.messages[#2]",
        "more than once",
        "keep one",
    ),
    asked("prompt_file = 'x.md'", ".prompt_file", "`prompt` and `prompt_file` both", "keep one"),
    asked("messages = []", ".messages", "`prompt` and `messages` both", "keep one"),
]
"""What is asked."""

REQUESTS: list[Broken] = [
    asked("temprature = 1", ".temprature", "no key `temprature` here", "did you mean `temperature`"),
    asked("stream = true", ".stream", "no key `stream`", "take it out: the service sees to"),
    asked("max_tokens = 0", ".max_tokens", "at least 1", "write it like `max_tokens = 1000`"),
    asked("temperature = 3", ".temperature", "at most 2", "write it like"),
    asked("model = ''", ".model", "`model` is empty", "write it like `model = "),
    asked("fallbacks = [{ max_tokens = 1 }]", ".fallbacks", "names no model", "write it like"),
    asked("required = 1", ".required", "true or false", "write it like `required = false`"),
    asked("response_format = { type = 'json_object' }", ".response_format", 'type "json_schema"', "write `schema`"),
    asked(
        "response_format = { type = 'json_schema', json_schema = { name = 'a' } }",
        ".response_format",
        "with a schema",
        "write `schema` in its place",
    ),
    asked(
        "response_format = { type = 'json_schema', json_schema = { name = 'a', schema = { type = 'array' } } }",
        ".response_format.json_schema.schema",
        "must be an object",
        "write `type` as",
    ),
    asked(
        "fallbacks = [{ model = 'n', response_format = { type = 'json_object' } }]",
        ".fallbacks[#1].response_format",
        'type "json_schema"',
        "write `schema`",
    ),
]
"""How it is asked."""

WHERE: list[Broken] = [
    asked("schema = 3", ".schema", "must be the name of a file or a table", "write it like `schema = "),
    asked("schema = 1979-05-27", ".schema", "cannot be sent as JSON", "write it like `schema = "),
    asked(
        "schema = 1979-05-27\n[pipelines.attributes]\na = 'answers.summary.a'",
        ".schema",
        "cannot be sent as JSON",
        "write it like `schema = ",
    ),
    asked(
        "response_format = { type = 'json_schema', json_schema = { name = 'a', schema = { type = 'object' } } }\n"
        "[pipelines.attributes]\na = 'answers.summary.a'",
        ".response_format.json_schema.schema",
        "can hold nothing",
        "list its `properties`",
    ),
    asked("schema = 'none.json'", ".schema", "`none.json`: there is no such file", "beside the pipelines file"),
    asked("schema = '../a.json'", ".schema", "outside the folder", "move it beside"),
    asked("schema = {}", ".schema", "must be an object", "write `type` as"),
    asked(
        "schema = { type = 'object', properties = { a = { type = 'strin' } } }",
        ".schema.properties.a.type",
        "names no type",
        "did you mean `string`",
    ),
    asked(
        "schema = { type = 'object', properties = { a = { type = 'integer', maximum = 9007199254740993 } } }",
        ".schema",
        "number that JSON cannot carry",
        "write a smaller",
    ),
    asked(
        "[pipelines.prompts.schema]\ntype = 'object'\n[pipelines.prompts.schema.properties.a]\nnot = {}",
        ".schema.properties.a.not",
        "do not take `not`",
        "say it in a `description`",
        line=12,
    ),
    asked(
        "schema = 'a.json'\nresponse_format = { type = 'json_schema' }",
        ".response_format",
        "both say what the answer must look like",
        "keep `schema`",
        line=10,
    ),
    asked(
        "schema = 'a.json'\nfallbacks = [{ model = 'n', response_format = {} }]",
        ".fallbacks",
        "`response_format` of its own",
        "take it out: fallbacks",
        line=10,
    ),
    schema('{"type": "object",\n}', "-", "`schemas/a.json` is not JSON: .*, line 1, column 18$", "mend it there"),
    schema('{"a": NaN}', "-", "not JSON: .*line 1", "mend it there"),
    schema("[" * 2000, "-", "not JSON", "mend it there"),
    schema("[]", "-", "holds no JSON object", "write it like"),
    schema("#" * (1024 * 1024 + 1), "-", "larger than 1024 KiB", "beside the pipelines file"),
]
"""Where the schema of an answer is."""

SCHEMAS: list[Broken] = [
    schema({"type": "array", "items": TEXT}, "", "must be an object", "write `type` as"),
    schema({"type": ["object", "null"], "properties": {"a": TEXT}}, "", "must be an object", "write `type` as"),
    schema({"type": "object"}, "", "without `properties` can hold nothing", "list its `properties`"),
    schema(of(a={"type": "object", "properties": {}}), "/properties/a", "can hold nothing", "list its"),
    schema(of(a={}), "/properties/a", "nothing says what belongs there", "write a `type`"),
    schema(of(a=True), "/properties/a", "nothing says what belongs there", "write a `type`"),
    schema(of(a={"type": "strng"}), "/properties/a/type", "names no type", "did you mean `string`"),
    schema(of(a={"type": "date"}), "/properties/a/type", "names no type", "write one of: string, number"),
    schema(of(a=3), "/properties/a", "`a` must be of type object or boolean", "draft 2020-12"),
    schema({**of(a=TEXT), "required": "a"}, "/required", "must be of type array", "draft 2020-12"),
    schema({**of(a=TEXT), "required": ["a", "a"]}, "/required", "not allow there", "draft 2020-12"),
    schema({**of(a=TEXT), "required": ["b"]}, "/required", "names `b`, which is none", "list it, or"),
    schema({**of(mood=TEXT), "required": ["mod"]}, "/required", "names `mod`", "did you mean `mood`"),
    schema({**of(a=TEXT), "additionalProperties": True}, "/additionalProperties", "allows others", "take it out"),
    schema({**of(a=TEXT), "additionalProperties": TEXT}, "/additionalProperties", "allows others", "take it out"),
    schema({**of(a=TEXT), "patternProperties": {"x": TEXT}}, "/patternProperties", "do not take", "by their names"),
    schema({**of(a=TEXT), "if": {}, "$comment": "x"}, "/if", "models do not take `if`", "say it in a `description`"),
    schema({**of(a=TEXT), "dependentSchemas": {}}, "/dependentSchemas", "do not take", "`description`"),
    schema({**of(a=TEXT), "allOf": [of(b=TEXT)]}, "/allOf", "do not take `allOf`", "as one schema"),
    schema({**of(a=TEXT), "unevaluatedProperties": False}, "/unevaluatedProperties", "do not take", "allowed anyway"),
    schema(of(a={"type": "string", "not": {}}), "/properties/a/not", "do not take `not`", "`description`"),
    schema(of(a={"type": "string", "nullable": True}), "/properties/a/nullable", "do not take", '"null"'),
    schema(of(a={"oneOf": [TEXT], "type": "string"}), "/properties/a/oneOf", "do not take `oneOf`", "write `anyOf`"),
    schema(
        of(a={"type": "array", "items": TEXT, "prefixItems": [TEXT]}),
        "/properties/a/prefixItems",
        "do not take",
        "an object with a property for each place",
    ),
    schema(of(a={"type": "array"}), "/properties/a", "nothing says what the list holds", "write `items`"),
    schema(of(a={"enum": []}), "/properties/a/enum", "allows no value", "list the values"),
    schema(
        of(a={"type": "string", "pattern": "["}), "/properties/a/pattern", "no regular expression", "mend it, or take"
    ),
    schema(of(a={"$ref": "https://x.example/y"}), "/properties/a/$ref", "leads out of the schema", "copy it below"),
    schema(of(a={"$ref": "b.json"}), "/properties/a/$ref", "`b.json` leads out of the schema", "copy it below"),
    schema(of(a={"$ref": "#"}), "/properties/a/$ref", "leads out of the schema", "copy it below"),
    schema(of(a={"$ref": "#/$defs/b"}), "/properties/a/$ref", "no schema at `#/\\$defs/b`", "write `#/"),
    schema(of(a={"$ref": "#/properties"}), "/properties/a/$ref", "no schema at `#/properties`", "properties/a`"),
    schema(
        {**of(a={"$ref": "#/$defs/mod"}), "$defs": {"mood": TEXT}},
        "/properties/a/$ref",
        "no schema at",
        r"did you mean `#/\$defs/mood`",
    ),
    schema(of(a={"$ref": "#/properties/a"}), "/properties/a/$ref", "leads back to itself", "let it name a schema"),
    schema(
        {**of(a={"$ref": "#/$defs/b", "type": "string"}), "$defs": {"b": TEXT}},
        "/properties/a/type",
        "`type` stands beside `\\$ref`",
        "write it where `\\$ref` leads",
    ),
    schema(
        {**of(a=TEXT), "$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "another draft", "2020-12"
    ),
    schema(of(a={**TEXT, "$id": "x"}), "/properties/a/$id", "`\\$id` stands inside", "take it out"),
    schema(of(**{f"property{n}": {**TEXT, "title": "x" * 80} for n in range(700)}), "", "than 64 KiB", "ask for less"),
    schema('{"a":' * 70 + "1" + "}" * 70, "", "more than 64 levels deep", "make it flatter"),
    schema(of(**{"a/b~": {}}), "/properties/a~1b~0", "nothing says what belongs there", "write a `type`"),
]
"""What the schema says; the place is the line that names its file, and a JSON pointer into it."""

POINTERS: list[Broken] = [
    pointing(
        "answers.summary.mood", "text without parts, for want of a `schema`", 'whole answer, "answers.summary"', ""
    ),
    pointing("answers.summary", "`answers.summary` is an object", "one of its properties: `answers.summary.sentiment`"),
    pointing("answers.summary.mood", "`answers.summary` has no property `mood`", "one of its properties: .*, …$"),
    pointing("answers.summary.sentimnt", "has no property `sentimnt`", "did you mean `answers.summary.sentiment`"),
    pointing("answers.summary.customer", "is an object", "properties: `answers.summary.customer.tier`, `.*years`$"),
    pointing("answers.summary.customer.teir", "no property `teir`", "did you mean `answers.summary.customer.tier`"),
    pointing("answers.summary.agent", "`answers.summary.agent` is an object", "`answers.summary.agent.tier`"),
    pointing("answers.summary.moments", "is a list of objects", "give the schema a property"),
    pointing("answers.summary.grid", "is a list of lists", "give the schema a property"),
    pointing("answers.summary.topics.0", "is a list, and has no `0`", "point at `answers.summary.topics`"),
    pointing("answers.summary.sentiment.x", "is no object, and has no `x`", "point at `answers.summary.sentiment`"),
    pointing("answers.summary.a.b", "has no property `a`", "a dot in a property's name"),
    pointing("answers.summary.", "`answers.summary.` has a dot too many", "write it like"),
    pointing("answers.summary..x", "has a dot too many", "write it like"),
    pointing("answers.sumary.sentiment", "points at no answer", "did you mean `answers.summary`"),
]
"""What attributes are made of."""

BROKEN: list[Broken] = [*WORDS, *REQUESTS, *WHERE, *SCHEMAS, *POINTERS]
