"""The table of finding codes: each declared once, never reused.

`FL0xx` YAML · `1xx` shape · `2xx` expressions and types · `3xx` graph · `4xx` handlers · `5xx` reliability ·
`6xx` security · `7xx` deprecated · `8xx` compatibility with live runs · `9xx` ignores.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding.

    Args:
        code: `FL` and three digits.
        slug: Its name in words.
        sentence: What it says, in one sentence.
    """

    code: str
    slug: str
    sentence: str


_TABLE: Final = """
FL001 not-utf8               A file must be UTF-8 text.
FL002 forbidden-character    YAML allows no control characters and no lone surrogates; a file with them is not read.
FL003 file-too-large         A file may have at most 1 MiB.
FL004 nested-too-deep        Lists and maps may be nested at most 100 deep, aliases included.
FL005 too-many-values        A document may have at most 100,000 values, counted after aliases and merges are expanded.
FL006 yaml-syntax            YAML cannot read the file from here on.
FL007 duplicate-key          A key is written twice in one map; YAML would keep only the last value.
FL008 tag-refused            Tags such as `!!str` and `%YAML` lines are refused: what a value is, its text alone says.
FL009 bad-alias              An alias names an anchor that is not there, or that contains the alias itself.
FL010 bad-merge              `<<` takes an alias of a map, or a list of them.
FL011 key-not-text           The keys of a map are texts.
FL012 leading-zero           A number with a leading zero is refused: tools read it as different numbers.
FL013 exponent-without-point An exponent needs a point, as in `1.0e3`: without one, tools read a text or a number.
FL014 old-boolean            In YAML 1.2 `yes`, `no`, `on` and `off` are texts; a boolean is `true` or `false`.
FL015 cut-by-comment         YAML took ` #` for the start of a comment and cut an expression in the middle.
FL016 read-as-tag            YAML took the `!` at the start of an expression for a tag.
FL017 split-at-colon         YAML took the colon of `a ? b : c` for the end of a key.
FL018 split-in-flow          Inside `{…}` and `[…]`, commas, braces and brackets belong to YAML: it broke an expression.
FL019 split-at-brace         YAML took a `{` or a colon inside `${{ … }}` for its own.
FL020 newline-kept           A block text (`|` or `>`) keeps a newline at its end.
FL021 unclosed-template      A `${{` has no `}}`.
FL022 read-as-indicator      YAML took the first character of an expression for one of its own signs.
FL023 text-after-quote       YAML took the quote or bracket at the start of an expression for its own.
FL024 number-out-of-range    A number has no exact JSON counterpart: infinite, not a number, or beyond 64 bits.
FL100 nothing-here           The file holds no document.
FL101 unknown-key            A key is not one that the language has here.
FL102 missing-key            A required key is missing.
FL103 wrong-type             A value is of another kind than the key takes.
FL104 wrong-value            A value is of the right kind, and not one that the key takes.
FL105 bad-name               A name, id or event name has characters that are not allowed there.
FL106 no-verb                A step has no verb.
FL107 several-verbs          A step has more than one verb.
FL108 modifier-not-allowed   A step has a key that its verb does not take.
FL109 id-required            A step of this verb needs an `id`.
FL110 duplicate-id           Two steps of a pipeline have the same id.
FL111 foreach-and-repeat     A step has both `foreach` and `repeat`.
FL112 unbounded-repeat       A `repeat` has neither `limit` nor `for`.
FL113 bad-duration           A duration is a number with a unit `ms s m h d w`.
FL114 bad-cron               A cron text does not say when.
FL115 bad-time-zone          A time zone is not in the IANA database.
FL116 braces-around-part     This key is an expression: braces may stand around the whole of it, not around a part.
FL117 bad-schema             A JSON Schema is not valid.
FL118 bad-size               A size is a number with a unit `KiB MiB`.
FL119 reserved-name          The event names under `pipeline/` and `schedule/` belong to FlowLang.
FL120 bad-tolerate           Counts in `tolerate` speak of the items of a `foreach`.
FL121 keys-in-conflict       Two keys cannot be used together.
FL122 unknown-version        The file is written for another version of the language.
FL123 duplicate-pipeline     Two documents define the same pipeline.
FL124 unknown-retry-policy   A retry policy is named that `flowlang.yaml` does not have.
FL125 unknown-schema-file    `input` names a schema file that is not there.
FL126 unreadable-file        A file of the project is no readable file, or leads out of the project.
FL127 no-pipelines           The project has no pipelines.
FL128 duplicate-test         Two pipeline tests of a file have the same name.
FL129 unknown-data-file      A pipeline test names a data file that is not there or is no JSON.
FL130 unknown-test-step      A pipeline test names a step that its pipelines do not have.
FL131 unknown-test-handler   A pipeline test names a handler that nobody declares or calls.
FL132 unheard-event          A pipeline test gives an event that starts nothing and that nobody waits for.
FL133 unknown-test-var       A pipeline test gives a var that its pipelines do not have.
FL134 template-in-test       Values of a pipeline test are literal: `${{ }}` has no meaning there.
FL152 json-path              A text is a path such as `$.name`, which nothing here follows.
FL201 expression-syntax      An expression cannot be read, or calls a function that does not exist.
FL202 unknown-name           An expression reads a name that it does not have there.
FL203 unknown-step           An expression selects a step that the pipeline does not have.
FL204 step-not-visible       An expression selects a step that has not ended by then, or lies inside a loop.
FL205 unknown-var            An expression selects a var that neither the pipeline nor the project has.
FL206 unknown-step-field     A step has `status output error attempts started_at ended_at`, and nothing else.
FL207 not-repeatable         `now()` and `uuid()` cannot be used where an event is matched or a key is made.
FL208 missing-env            A variable of the environment that a pipeline reads is not set.
FL209 duplicate-var          A pipeline has a var of the same name as the project.
FL210 no-error-here          `${{ error }}` is thrown on where no error is being handled.
FL211 type-mismatch          An operator or function gets a value of a type that it does not take.
FL212 not-a-condition        A condition must be true or false, and gives something else.
FL213 may-be-missing         A field that may be absent is read without a guard.
FL214 unknown-field          A field is read that the data does not have.
FL215 may-be-null            A value that may be null is used where null has no meaning.
FL216 bad-constant           A constant is no timestamp, duration, number, time zone or pattern.
FL217 never-equal            A value is compared with one that it never has.
FL218 unbounded-wait         A `wait_for` has nothing that ends it when the event does not come.
FL219 unindexed-match        A `match` compares no field of `incoming` with something that is known.
FL220 waits-without-place      With `limit: 1` another run starts while one waits.
FL221 limits-differ            A key of the project has different limits.
FL222 waits-for-itself         A step wants a place under the key under which its own run has one.
FL223 wrong-event-data       The data of an emitted event do not fit the event's schema.
FL224 wrong-input            What a pipeline is started with does not fit its input.
FL225 path-without-braces    A text is a path to data that is there: it has no braces, so it is only a text.
FL226 foreign-braces         A text has `{{ … }}` around a path to data that is there, which other tools would fill in.
FL301 unknown-pipeline       A pipeline is named that the project does not have.
FL302 owned-prefix           An event is sent whose prefix belongs to a webhook.
FL303 unknown-provider       A webhook names a provider that FlowLang does not know.
FL304 event-without-schema   An event has no schema: its data is taken as it comes.
FL305 event-unsent           An event is waited for that nothing sends.
FL306 event-unused           An event has a schema, and no pipeline sends or takes it.
FL307 event-untaken          An event is sent that no pipeline takes, and that has no schema for others.
FL310 event-field-missing    An event does not carry a field that its taker or its schema requires.
FL311 event-field-unknown    An event carries a field that its taker or its schema does not have.
FL313 circle-without-start   Pipelines start one another, and nothing outside starts one of them.
FL314 circle-without-end     Pipelines start one another by events without a pause, a condition or an end.
FL315 endless-recursion      Pipelines invoke one another without a condition that ends it.
FL316 handler-unused         A handler of the project is called by no pipeline.
FL317 schema-unused          A schema file is named by nothing.
FL318 var-unused             A var is read by nothing.
FL319 retry-policy-unused    A retry policy of the project is named by nothing.
FL320 queue-unused           A queue of the project is named by nothing.
FL321 webhook-unused         A webhook's events are taken by no pipeline.
FL401 unknown-handler        A step calls a handler that the project does not have.
FL402 missing-argument       A handler is called without an argument that it needs.
FL403 unknown-argument       A handler is called with an argument that it does not take.
FL404 duplicate-handler      Two functions declare a handler of the same name.
FL405 effect-missing         A handler does not say what a repeated call does.
FL406 retry-on-once          A handler whose effect must not happen twice is retried.
FL407 unreadable-handler     A handler's file or declaration cannot be read without running it.
FL408 unknown-hints          The type hints of a handler could not be read, so that its calls are not checked.
FL409 wrong-argument         A handler is called with an argument of a type that it does not take.
FL501 swallowed-error        Errors are caught or tolerated without bound, and nobody is told or looks.
FL502 unreachable-step       No run comes to a step, since what is before it always ends.
FL503 constant-condition     A condition is always true, or never.
FL504 missing-case           A `switch` over an enum has no case for some of its values.
FL505 shadowed-case          A case of a `switch` is never chosen, since earlier ones take all of it.
FL506 dead-catch             An arm of a `catch` never handles anything.
FL507 retry-beyond-timeout   Retries go on for longer than the time-out around them.
FL509 too-many-attempts      A step may be tried more often than `limits.attempts` allows.
FL510 time-beyond-timeout    Something takes longer than the time-out around it.
FL511 misspelt-class         An error's code is nearly the name of a class.
FL512 dead-retry             A retry policy is never used, since earlier ones take all of its errors.
FL601 webhook-unsigned       A webhook has no secret: anybody could send its events.
FL602 literal-secret         A secret is written into a file.
FL603 secret-shown           A secret would be shown in a URL or a text that people read.
FL604 sensitive-shown        A sensitive field would be shown in a label, error, URL, output or unmarked field.
FL901 unknown-code           A code is ignored or selected that no finding has.
FL902 unused-ignore          A comment ignores a finding that is not there.
FL903 ignore-without-reason  A finding about security is ignored without a reason.
FL904 unreadable-ignore      A comment is meant to ignore findings, and does not say which.
FL905 error-stays            A comment ignores an error; errors are never left out.
"""


def _read_table(table: str) -> dict[str, Code]:
    codes: dict[str, Code] = {}
    for line in table.strip().splitlines():
        code, slug, sentence = re.split(r" +", line, maxsplit=2)
        assert code not in codes, f"{code} is declared twice"
        codes[code] = Code(code, slug, sentence)
    return codes


#: Every code that a finding can have.
CODES: Final[dict[str, Code]] = _read_table(_TABLE)
