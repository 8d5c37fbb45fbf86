"""JSON Schemas of the language for editors, made from the models: pipelines, `flowlang.yaml`, tests, and events.

They say what a schema can say: which keys there are and what they take, which go together, and the names that the
project has. What an editor does not find by them, `flowlang validate` finds. Draft 7 is what editors know best.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator

from flowlang.editing.argument_schemas import TEMPLATE, arguments_schema
from flowlang.editing.key_docs import key_doc
from flowlang.handler.signature import Signature
from flowlang.model import (
    Pipeline,
    PipelineTest,
    ProjectFile,
    base,
    expression,
    fields,
    pipeline,
    policy,
    step,
    trigger,
)
from flowlang.model import pipeline_tests as tests
from flowlang.model import project_file as project
from flowlang.model.base import PATH_KEY, Part, ShortForm
from flowlang.model.providers import PROVIDERS
from flowlang.model.verbs import TAKEN_BY, VERBS, WITHOUT_ID
from flowlang.plan import EventSchema

Schema = dict[str, Any]

DRAFT: Final = "http://json-schema.org/draft-07/schema#"

_NAME: Final = r"^[a-z][a-z0-9-]*$"
_IDENTIFIER: Final = r"^(?!(?:true|false|null|in)$)[a-z][a-z0-9_]*$"
_HANDLER: Final = r"^(log|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+)$"
_EVENT: Final = r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*"
_OWN: Final = r"(?!(?:pipeline|schedule)/)"
_PARTS: Final = "".join(rf"(\d{{1,15}}(\.\d{{1,9}})?{unit})?" for unit in ("w", "d", "h", "m", "s", "ms"))
_TEXT: Final[Schema] = {"type": "string"}
_DURATION: Final[Schema] = {"type": "string", "pattern": rf"^(?=.){_PARTS}$", "examples": ["30s", "1h30m", "7d"]}
_LONGER: Final[Schema] = {**_DURATION, "pattern": rf"^(?=.*[1-9]){_PARTS}$"}
_ERROR: Final[Schema] = {
    "type": "string",
    "pattern": r"^(?!cancelled$)[a-z][a-z0-9_]*([.-][a-z0-9_]+)*(\.\*)?$",
    "examples": ["transient", "resource", "permanent", "bug", "timeout", "stripe.*"],
}
_MOMENT: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d{2}"}
_SIZE: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{1,15}(\.\d{1,9})?(B|KiB|MiB|GiB)$",
    "examples": ["512KiB", "4MiB"],
}
_EXPRESSION: Final[Schema] = {
    "description": "An expression.",
    "anyOf": [
        {"type": ["boolean", "number"]},
        {"type": "string", "pattern": r"\S", "not": {"pattern": r"\$\{\{"}},
        {"type": "string", "pattern": r"^\s*\$\{\{[\s\S]*\}\}\s*$"},
    ],
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a project has.

    Attributes:
        handlers: By name; None: they could not all be read, so that any name may be right.
        docs: What handlers say of themselves, by name.
        events: Schemas of events, by name.
        pipelines: Names of pipelines.
        policies: Names of retry policies.
        queues: Names of queues.
    """

    handlers: Mapping[str, Signature] | None = None
    docs: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, EventSchema] = field(default_factory=dict)
    pipelines: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


def schema_of_pipelines(names: Names) -> Schema:
    """The schema of a pipeline's document.

    Args:
        names: Of the project.
    """
    return _Writer(names).document(Pipeline, "A pipeline of FlowLang.")


def schema_of_project(names: Names) -> Schema:
    """The schema of `flowlang.yaml`.

    Args:
        names: Of the project.
    """
    return _Writer(names).document(ProjectFile, "flowlang.yaml: what all pipelines share.")


def schema_of_tests(names: Names) -> Schema:
    """The schema of a file of pipeline tests: a test, a list of tests, or what they share.

    Args:
        names: Of the project.
    """
    writer = _Writer(names)
    test = writer.part(PipelineTest)
    shared = {
        "type": "object",
        "required": ["shared"],
        "additionalProperties": False,
        "properties": {
            "shared": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    key: value
                    for key, value in writer.definitions["PipelineTest"]["properties"].items()
                    if key in tests.SHARED_KEYS
                },
            }
        },
    }
    one = {"if": {"type": "object", "required": ["shared"]}, "then": shared, "else": test}
    root = {"if": {"type": "array"}, "then": {"type": "array", "items": one}, "else": one}
    # What is shared in a file need not be written in its tests.
    del writer.definitions["PipelineTest"]["required"]
    return {"$schema": DRAFT, "title": "Tests of pipelines.", **root, "definitions": writer.definitions}


def schema_of_events(names: Names) -> Schema:
    """The schema of an event as it is sent: its name, and by it the data.

    Args:
        names: Of the project.
    """
    known = sorted(names.events)
    other = {"type": "string", "pattern": f"^{_OWN}{_EVENT}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",  # that of the schemas inside
        "title": "An event of the project.",
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"anyOf": [{"enum": known}, other] if known else [other]}, "id": _TEXT, "data": {}},
        "allOf": [
            {
                "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                "then": {"properties": {"data": {"$ref": _address(name)}}},
            }
            for name in known
        ],
        "$defs": {name: _addressed(names.events[name].schema, name) for name in known},
    }


def _address(name: str) -> str:
    return f"urn:flowlang:event:{name}"


def _addressed(schema: Any, name: str) -> Schema:
    """An event's schema under an address of its own, from which its own references go on."""
    own = {key: value for key, value in schema.items() if key != "$schema"} if isinstance(schema, dict) else None
    return {**({"allOf": [schema]} if own is None else own), "$id": _address(name)}


class _Writer:
    """Writes schemas of parts, each once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.definitions: dict[str, Schema] = {}

    def document(self, model: type[Part], title: str) -> Schema:
        """A whole document."""
        root = self.part(model)
        return {"$schema": DRAFT, "title": title, **root, "definitions": dict(sorted(self.definitions.items()))}

    def part(self, model: type[Part]) -> Schema:
        """A reference to a part's schema, which is written when it is first asked for."""
        name = model.__name__
        if name not in self.definitions:
            self.definitions[name] = {}  # a step holds steps
            self.definitions[name] = self._part(model)
        return {"$ref": f"#/definitions/{name}"}

    def _part(self, model: type[Part]) -> Schema:
        properties: dict[str, Any] = {}
        required = []
        for name, info in model.model_fields.items():
            key = info.alias or name
            if key == PATH_KEY:
                continue
            doc = key_doc(model, key)
            properties[key] = _with_doc(self.of(info.annotation, tuple(info.metadata)), doc)
            if info.is_required():
                required.append(key)
        found: Schema = {
            "type": "object",
            "description": (model.__doc__ or "").partition("\n\n")[0],
            "additionalProperties": False,
            "properties": properties,
        }
        if required:
            found["required"] = required
        return {**found, **self._between(model)}

    def _between(self, model: type[Part]) -> Schema:
        """What keys of a part have to do with one another."""
        if model is step.Step:
            return self._step()
        if model is step.Repeat:
            return {"anyOf": [{"required": ["limit"]}, {"required": ["for"]}]}
        if model is step.Undo:
            return {"oneOf": [{"required": ["uses"]}, {"required": ["invoke"]}], "allOf": self._calls()}
        if model is Pipeline:
            return {"dependencies": {"batch": _without(["cancel_on"])}}
        if model is project.Webhook:
            return {"anyOf": _required(("provider", "unsigned")), "allOf": self._providers()}
        if issubclass(model, tests.OneVerb):
            beside = {key: {"anyOf": _required(verbs)} for key, verbs in model.beside.items()}
            others = {
                verb: {"properties": {each: False for each in model.verbs if each != verb}} for verb in model.verbs
            }
            return {"anyOf": _required(model.verbs), "dependencies": {**beside, **others}}
        return {}

    def _step(self) -> Schema:
        dependencies: dict[str, Any] = {}
        for verb in VERBS:
            modifiers = [key for key, verbs in TAKEN_BY.items() if verb not in verbs]
            dependencies[verb] = _without([*(other for other in VERBS if other != verb), *modifiers])
        dependencies["foreach"] = _without(["repeat"])
        dependencies["collect"] = {"anyOf": _required(("foreach", "repeat"))}
        counted = {"type": "object", "required": ["failed"]}
        return {
            "allOf": [
                {"anyOf": _required(VERBS)},
                {"anyOf": _required(("id", *sorted(WITHOUT_ID)))},
                {
                    "if": {"required": ["tolerate"], "properties": {"tolerate": counted}},
                    "then": {"required": ["foreach"]},
                },
                *self._calls(),
                *self._sent(),
            ],
            "dependencies": dependencies,
        }

    def _providers(self) -> list[Schema]:
        """What each provider of webhooks needs and takes."""
        found: list[Schema] = []
        for name, provider in sorted(PROVIDERS.items()):
            options = {"propertyNames": {"enum": [*provider.needs, *provider.takes]}, "required": list(provider.needs)}
            required = (["options"] if provider.needs else []) + (["secret"] if provider.secret else [])
            properties = {"options": options} if provider.secret else {"options": options, "secret": False}
            then = {"required": required, "properties": properties}
            found.append({"if": {"required": ["provider"], "properties": {"provider": {"const": name}}}, "then": then})
        return found

    def _calls(self) -> list[Schema]:
        """The arguments of each handler."""
        return [
            {
                "if": {"required": ["uses"], "properties": {"uses": {"const": name}}},
                "then": arguments_schema(signature, self._names.docs.get(name, "")),
            }
            for name, signature in sorted((self._names.handlers or {}).items())
        ]

    def _sent(self) -> list[Schema]:
        """The fields of each event that a step sends: their names and what they are, since values may be templates."""
        found = []
        for name, event in sorted(self._names.events.items()):
            properties = event.schema.get("properties") if isinstance(event.schema, dict) else None
            if isinstance(properties, dict):
                docs = {key: _described(value) for key, value in properties.items()}
                sent = {"anyOf": [{"const": name}, {"type": "object", "properties": {"event": {"const": name}}}]}
                found.append(
                    {
                        "if": {"required": ["emit"], "properties": {"emit": sent}},
                        "then": {"properties": {"with": {"properties": docs}}},
                    }
                )
        return found

    # Values ---------------------------------------------------------------------------------------------------------

    def of(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> Schema:
        """The schema of what a field takes.

        Args:
            annotation: Of the field.
            metadata: What stands beside it in `Annotated`.
        """
        for item in reversed(metadata):
            if isinstance(item, BeforeValidator | PlainValidator):
                found = self._read_by(item.func, annotation)
                if found is not None:
                    return found
        origin = get_origin(annotation)
        if origin is Annotated:
            inner, *more = get_args(annotation)
            return self.of(inner, tuple(more))
        if origin in {Union, types.UnionType}:
            arms = [self.of(arm) for arm in get_args(annotation) if arm is not type(None)]
            return arms[0] if len(arms) == 1 else {"anyOf": arms}
        if origin is Literal:
            return {"enum": list(get_args(annotation))}
        if origin is tuple:
            return {"type": "array", "items": self.of(get_args(annotation)[0])}
        if origin is dict:
            key, value = get_args(annotation)
            return {"type": "object", "propertyNames": self.of(key), "additionalProperties": self.of(value)}
        if isinstance(annotation, type) and issubclass(annotation, Part):
            return self.part(annotation)
        return dict(_PLAIN[annotation])

    def _read_by(self, reader: Any, annotation: Any) -> Schema | None:
        """The schema of what a reader takes; None: what the annotation says.

        Raises:
            KeyError: for a reader that nobody has described here, which a test finds.
        """
        if isinstance(reader, fields.WholeNumber):
            most = {} if reader.maximum is None else {"maximum": reader.maximum}
            return {"type": "integer", "minimum": reader.minimum, **most}
        if isinstance(reader, fields.Number):
            return {"type": "number", "minimum": reader.minimum}
        if isinstance(reader, ShortForm):
            model = _part_of(annotation)
            short = next(
                self.of(info.annotation, tuple(info.metadata))
                for name, info in model.model_fields.items()
                if (info.alias or name) == reader.key
            )
            return {"anyOf": [short, self.part(model)]}
        if getattr(reader, "__qualname__", "").startswith("choice."):
            return None
        return _READERS[reader](self, annotation)

    def handler(self) -> Schema:
        """A handler's name."""
        handlers = self._names.handlers
        return {"type": "string", "pattern": _HANDLER} if not handlers else {"enum": sorted(handlers)}

    def event(self, pattern: str) -> Schema:
        """An event's name: those with a schema are offered, others are right as well."""
        plain = {"type": "string", "pattern": f"^{pattern}$"}
        return {"anyOf": [{"enum": sorted(self._names.events)}, plain]} if self._names.events else plain

    def retry(self) -> Schema:
        """A retry policy, or the name of one."""
        named = {"enum": sorted(self._names.policies)} if self._names.policies else {"type": "string", "pattern": _NAME}
        return {"anyOf": [self.part(policy.RetryPolicy), named]}


def _required(keys: tuple[str, ...]) -> list[Schema]:
    return [{"required": [key]} for key in keys]


def _without(keys: Iterable[str]) -> Schema:
    """None of these keys."""
    return {"properties": dict.fromkeys(keys, False)}


def _with_doc(schema: Schema, doc: str | None) -> Schema:
    """A schema with a sentence; draft 7 takes nothing beside a reference."""
    if doc is None:
        return schema
    if "$ref" in schema:
        return {"description": doc, "markdownDescription": doc, "allOf": [schema]}
    return {**schema, "description": doc, "markdownDescription": doc}


def _described(schema: Any) -> Schema:
    text = schema.get("description") if isinstance(schema, dict) else None
    return {"description": text} if isinstance(text, str) else {}


def _part_of(annotation: Any) -> type[Part]:
    """The part in an annotation."""
    for arm in (annotation, *get_args(annotation)):
        if isinstance(arm, type) and issubclass(arm, Part):
            return arm
    raise KeyError(annotation)


def _inner(annotation: Any) -> Any:
    """The element of a tuple."""
    return get_args(annotation)[0]


def _list(writer: _Writer, annotation: Any, **more: Any) -> Schema:
    return {"type": "array", "items": writer.of(_inner(annotation)), **more}


def _one_or_many(writer: _Writer, annotation: Any) -> Schema:
    one = writer.of(_inner(annotation))
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _by_annotation(_: _Writer, __: Any) -> None:
    return None


def _fixed(schema: Schema) -> Callable[[_Writer, Any], Schema]:
    return lambda _, __: dict(schema)


def _trigger(writer: _Writer, _: Any) -> Schema:
    cron = {"anyOf": _required(("cron", "timezone", "jitter", "missed")), "not": {"required": ["event"]}}
    then, otherwise = writer.part(trigger.CronTrigger), writer.part(trigger.EventTrigger)
    return {"if": {"anyOf": [{"required": ["cron"]}, cron]}, "then": then, "else": otherwise, "type": "object"}


def _tolerate(writer: _Writer, _: Any) -> Schema:
    errors = {"type": "array", "items": _ERROR}
    return {"anyOf": [{"const": True}, _ERROR, errors, writer.part(step.Tolerate)]}


def _scripts(writer: _Writer, annotation: Any) -> Schema:
    named, script = get_args(annotation)
    return {
        "anyOf": [
            {"const": "real"},
            {"type": "object", "propertyNames": writer.of(named), "additionalProperties": writer.of(script)},
        ]
    }


def _script(writer: _Writer, annotation: Any) -> Schema:
    one = writer.of(_inner(annotation))
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _answer(writer: _Writer, _: Any) -> Schema:
    return {"anyOf": [{"const": "real"}, writer.part(tests.Answer)]}


def _calls(writer: _Writer, _: Any) -> Schema:
    arguments = {"type": "array", "items": {"type": "object"}}
    return {"anyOf": [{"type": "integer", "minimum": 0}, arguments, writer.part(tests.ExpectedCalls)]}


def _runs(writer: _Writer, _: Any) -> Schema:
    each = {
        "type": "array",
        "items": {"anyOf": [{"enum": list(get_args(tests.RunStatus))}, writer.part(tests.ExpectedRun)]},
    }
    counted = {"anyOf": [{"type": "integer", "minimum": 0}, each]}
    return {"anyOf": [counted, {"type": "object", "additionalProperties": counted}]}


_WAIT: Final[Schema] = {"anyOf": [_LONGER, TEMPLATE]}

_PLAIN: Final[Mapping[Any, Schema]] = {
    Any: {},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: _TEXT,
    timedelta: _DURATION,
    datetime: _MOMENT,
}

#: What each reader of the models takes.
_READERS: Final[Mapping[Any, Callable[[_Writer, Any], Schema | None]]] = {
    base._refuse_nothing: _by_annotation,
    base._as_tuple: _list,
    base._at_least_one: lambda writer, annotation: _list(writer, annotation, minItems=1),
    base._one_as_tuple: _one_or_many,
    expression.read_expression: _fixed(_EXPRESSION),
    expression.read_template_text: _fixed({"type": ["string", "number", "boolean"]}),
    fields.read_text: _fixed(_TEXT),
    fields.read_boolean: _fixed({"type": "boolean"}),
    fields.read_name: _fixed({"type": "string", "pattern": _NAME}),
    fields.read_identifier: _fixed({"type": "string", "pattern": _IDENTIFIER}),
    fields.read_handler: lambda writer, _: writer.handler(),
    fields.read_event: lambda writer, _: writer.event(_EVENT),
    fields.read_sent_event: lambda writer, _: writer.event(f"{_OWN}{_EVENT}"),
    fields.read_event_pattern: lambda writer, _: writer.event(rf"({_EVENT}|{_OWN}{_EVENT}/\*)"),
    fields.read_error: _fixed(_ERROR),
    fields.read_duration: _fixed(_DURATION),
    fields.read_positive_duration: _fixed(_LONGER),
    fields.read_duration_or_template: _fixed(_WAIT),
    fields.read_size: _fixed(_SIZE),
    fields.read_moment: _fixed(_MOMENT),
    fields.read_values: _by_annotation,
    fields.read_arguments: _fixed({"anyOf": [{"type": "object"}, TEMPLATE]}),
    pipeline.read_version: _fixed({"const": 1}),
    pipeline._read_schema: _fixed(
        {"anyOf": [{"type": ["object", "boolean"]}, {"type": "string", "pattern": r"\.json$"}]}
    ),
    pipeline._read_priority: _fixed(
        {"anyOf": [{"type": "integer", "minimum": -600, "maximum": 600}, {"type": ["string", "number"]}]}
    ),
    policy._read_retry: lambda writer, _: writer.retry(),
    trigger._read_trigger: _trigger,
    trigger.read_cron: _fixed({"type": "string", "pattern": r"^\s*(?!@)\S+(\s+\S+){4}\s*$"}),
    trigger.read_timezone: _fixed({"type": "string", "pattern": r"^[A-Za-z]"}),
    step._read_fail: lambda writer, _: {"anyOf": [writer.part(step.Fail), TEMPLATE]},
    step._read_sleep: _fixed({"anyOf": [_DURATION, {"type": "string", "pattern": r"^\d{4}-\d{2}"}, TEMPLATE]}),
    step._read_delay: _fixed({"anyOf": [_DURATION, TEMPLATE]}),
    step._read_every: lambda writer, _: {"anyOf": [_DURATION, writer.part(step.Pause)]},
    step._read_bound: _fixed(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3})?%$"}]}
    ),
    step._read_tolerate: _tolerate,
    step._read_caught: _fixed({"anyOf": [{"const": "all"}, _ERROR]}),
    project._read_webhook_name: _fixed(
        {"type": "string", "pattern": _NAME.replace("^", "^(?!(?:pipeline|schedule)$)")}
    ),
    project._read_provider: _fixed({"enum": sorted(PROVIDERS)}),
    project._read_share: _fixed({"type": "string", "pattern": r"^(100|\d{1,2})%$"}),
    project._read_exception: _fixed({"type": "string", "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"}),
    project._read_map: _by_annotation,
    project._read_header: _fixed({"type": "string", "pattern": r"^[A-Za-z0-9-]+$"}),
    tests._read_instance: _fixed({"type": "string", "pattern": r"^[a-z]"}),
    tests._read_tick: _fixed({"anyOf": [{"const": "next"}, _MOMENT]}),
    tests._read_cancel: _fixed({"anyOf": [{"const": True}, {"type": "string", "minLength": 1}]}),
    tests._read_times: _fixed({"anyOf": [{"const": "any"}, {"type": "integer", "minimum": 1}]}),
    tests._read_real: _fixed({"const": True}),
    tests._read_calls: _calls,
    tests._read_runs: _runs,
    tests._read_counted: _runs,
    tests._read_scripted: _fixed({"anyOf": [{"const": "*"}, {"type": "string", "pattern": _HANDLER}]}),
    tests._read_handlers: _scripts,
    tests._read_answer: _answer,
    tests._read_script: _script,
}
