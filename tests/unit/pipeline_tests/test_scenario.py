"""Tests as users write them: what passes, and what is said of what does not."""

from __future__ import annotations

import pytest

from tests.unit.pipeline_tests.playing import Player

PASSING = {
    "an order": "then: {status: succeeded, output: {charge: c1, packed: [1, 1]}, calls: {orders.pack: 2}, dead_letters: 0}",
    "the arguments of calls": "then: {calls: {orders.pack: [{line: a}, {line: bb}], mail.send: {with: {to: EUR@vienna}}}}",
    "a var of the test": "vars: {currency: USD}\nthen: {calls: {mail.send: [{to: USD@vienna}]}}",
    "steps in every state": (
        "given: {event: shop/order-placed, data: {id: quiet, lines: []}}\n"
        "then: {steps: {tell: skipped, small: succeeded, large: absent, packed: {output: []}, pay: {attempts: 1}}}"
    ),
    "an event that is sent": "then: {emitted: [{event: shop/order-packed, data: {id: o1, packed: [1, 1]}}]}",
    "an order of calls": "then: {order: [orders.charge, orders.pack, mail.send]}",
    "an expression": "then: {check: [steps.pay.output.id == output.charge, 'emitted[0].data.packed == [1, 1]', \"calls.exists(c, c.with.?to.orValue('') == 'EUR@vienna')\"]}",
    "an item that fails": (
        "handlers: {orders.pack: [{return: 1}, {fail: permanent, code: pack.torn, message: it is torn}]}\n"
        "then: {status: failed, error: {class: permanent, code: pack.torn, message: torn}, steps: {'packed[1]': {status: failed, error: {code: pack.torn}}}, dead_letters: 1}"
    ),
    "a caught error": (
        "handlers: {orders.charge: {fail: permanent, code: card.declined}}\n"
        "then: {status: succeeded, output: {charge: none}, steps: {declined: {output: {code: card.declined}}}}"
    ),
    "answers by their arguments": (
        "handlers: {orders.pack: [{with: {line: bb}, return: 2}, {return: 9}]}\nthen: {output: {packed: [9, 2]}}"
    ),
    "answers that are counted": "handlers: {orders.pack: [{return: 7, times: 2}]}\nthen: {output: {packed: [7, 7]}}",
    "a data file": "given: {event: shop/order-placed, data_file: order.json}\nthen: {output: {packed: [1]}}",
    "a result from a file": "handlers: {orders.charge: {return_file: charge.json}}\nthen: {output: {charge: from-a-file}}",
    "a call": "given: {call: {id: called, lines: []}}\nthen: {status: succeeded, calls: {orders.charge: [{order: called}]}}",
    "a call from a file": "given: {call_file: order.json}\nthen: {calls: {orders.charge: [{order: filed}]}}",
    "a tick": "now: 2030-06-01T00:00:00Z\ngiven: {tick: next}\nthen: {calls: {orders.charge: [{order: weekly}]}}",
    "a tick by its time": "now: 2030-06-01T00:00:00Z\ngiven: {tick: 2030-06-10T09:00:00+02:00}\nthen: {runs: 1}",
    "a condition that is false": "given: {event: shop/order-placed, data: {id: ignored}}\nthen: {runs: 0, dead_letters: 0}",
    "the same key twice": "given: [&e {event: shop/order-placed, data: {id: o1, lines: []}}, *e]\nthen: {runs: 1}",
    "several runs": (
        "given: [{event: shop/order-placed, data: {id: a, lines: []}}, {event: shop/order-placed, data: {id: b, lines: [x]}}]\n"
        "then: {runs: [succeeded, {status: succeeded, output: {packed: [1]}}]}"
    ),
    "real handlers": (
        "handlers: real\ngiven: {event: shop/order-placed, data: {id: busy, lines: [abc]}}\n"
        "then: {output: {charge: busy-vienna-2, packed: [3]}, steps: {pay: {attempts: 2}}}"
    ),
    "one real handler among scripts": "handlers: {orders.pack: real}\nthen: {output: {charge: c1, packed: [1, 2]}}",
    "a real one after a scripted failure": (
        "handlers: {orders.charge: [{fail: resource}, real]}\nthen: {output: {charge: o1-vienna-2}}"
    ),
    "a snooze uses no attempt": "handlers: {orders.charge: [{snooze: 1h}, {return: {id: c2}}]}\nthen: {output: {charge: c2}, steps: {pay: {attempts: 1}}}",
    "a time-out": "handlers: {orders.charge: [{fail: timeout}, {return: {id: c2}}]}\nthen: {steps: {pay: {attempts: 2}}}",
    "a pause that a service asked for": (
        "handlers: {orders.charge: [{fail: transient, retry_after: 2h}, {return: {id: c2}}]}\n"
        "when: [{after: 1h59m}, {then: {status: running, calls: {orders.charge: 1}}}, {after: 2m}, {then: {status: succeeded}}]\n"
        "then: {calls: {orders.charge: 2}}"
    ),
    "other pipelines that listen": (
        "also: [listen]\nwhen: [{after: 6d}, {then: {runs: {order: 1, listen: [running]}}}]\n"
        "then: {status: succeeded, runs: {listen: [{status: succeeded, steps: {heard: {output: {id: o1}}}}]}}"
    ),
    "others that are not asked": "then: {runs: {order: 1}, emitted: [shop/order-packed]}",
    "a cancelled run": (
        "handlers: {orders.charge: [{fail: transient}]}\nwhen: [{after: 1s}, {cancel: enough}]\n"
        "then: {status: cancelled, error: {class: cancelled, message: enough}, calls: {orders.charge: 1}}"
    ),
    "a crash before the call": "faults: [{crash: before_call, step: pay}]\nthen: {calls: {orders.charge: 1}, steps: {pay: {attempts: 1}}}",
    "a crash before the commit": (
        "handlers: {orders.charge: [{fail: transient}, {return: {id: c2}}]}\nfaults: [{crash: before_commit, step: pay, attempt: 2}]\n"
        "then: {output: {charge: c2}, calls: {orders.charge: 3}, steps: {pay: {attempts: 2}}}"
    ),
    "a crash after the commit": "faults: [{crash: after_commit, step: 'packed[0]'}]\nthen: {calls: {orders.pack: 2}, output: {packed: [1, 1]}}",
    "two crashes at one attempt": "faults: [{crash: before_commit, step: pay, times: 2}]\nthen: {calls: {orders.charge: 3}, status: succeeded}",
}  # fmt: skip

FILES = {"order": '{"id": "filed", "lines": ["x"]}', "charge": '{"id": "from-a-file"}'}


@pytest.mark.parametrize("test", PASSING.values(), ids=PASSING)
def test_it_passes(player: Player, test: str) -> None:
    assert player.told(test, **FILES) == []


FAILING = {
    "status": (
        "handlers: {orders.charge: {fail: permanent, code: no.money, message: none left}}\nthen: {status: succeeded}",
        "status: expected succeeded, found failed with permanent/no.money: none left (step pay) [succeeded]",
    ),
    "output": ("then: {output: {charge: c2}}", 'output.charge: expected "c2", found "c1" [c2]'),
    "output's key": ("then: {output: {chrge: c1}}", 'output.chrge: expected "c1", found no `chrge`; it has charge, packed [c1]'),
    "output's items": ("then: {output: {packed: [1]}}", "output.packed: expected 1 item, found 2: [1, 1] [[1]]"),
    "no error": ("then: {error: {code: x}}", "error: expected an error, found none [{code: x}]"),
    "step's status": ("then: {steps: {tell: failed}}", "steps.tell.status: expected failed, found succeeded [failed]"),
    "step's attempts": ("then: {steps: {pay: {attempts: 3}}}", "steps.pay.attempts: expected 3, found 1 [3]"),
    "step's output": ("then: {steps: {pay: {output: {id: c2}}}}", 'steps.pay.output.id: expected "c2", found "c1" [c2]'),
    "message": (
        "handlers: {orders.charge: {fail: bug, message: why}}\nthen: {error: {message: because}}",
        'error.message: expected a text with "because", found "why" [because]',
    ),
    "count": ("then: {calls: {orders.pack: 3}}", "calls.orders.pack: expected 3, found 2 [3]"),
    "count of such": (
        "then: {calls: {orders.pack: {count: 2, with: {line: a}}}}",
        'calls.orders.pack: expected 2 with {"line": "a"}, found 1; called with {"line": "bb"} [{count: 2, with: {line: a}}]',
    ),
    "no such call": (
        "then: {calls: {mail.send: {with: {to: b}}}}",
        'calls.mail.send: expected a call with {"to": "b"}, found none; called with {"to": "EUR@vienna"} [{to: b}]',
    ),
    "arguments": ("then: {calls: {orders.pack: [{line: a}, {line: c}]}}", 'calls.orders.pack[1].line: expected "c", found "bb" [c]'),
    "order": (
        "then: {order: [mail.send, orders.charge]}",
        "order[1]: expected a call of orders.charge, found none behind mail.send; the calls are orders.charge, orders.pack, orders.pack, mail.send [orders.charge]",
    ),
    "emitted": ("then: {emitted: []}", "emitted: expected no event, found shop/order-packed [[]]"),
    "emitted data": (
        "then: {emitted: [{event: shop/order-packed, data: {id: o2}}]}",
        'emitted[0].data.id: expected "o2", found "o1" [o2]',
    ),
    "runs": ("then: {runs: 2}", "runs: expected 2, found 1: succeeded [2]"),
    "each run": ("then: {runs: [failed]}", "runs[0].status: expected failed, found succeeded [failed]"),
    "several runs": (
        "given: [{event: shop/order-placed, data: {id: a, lines: []}}, {event: shop/order-placed, data: {id: b, lines: []}}]\nthen: {status: succeeded}",
        "run: there are 2 runs of `order`: say what is expected of each in `runs` [{status: succeeded}]",
    ),
    "no run": (
        "given: {event: shop/order-placed, data: {id: ignored}}\nthen: {status: succeeded}",
        "run: there is no run of `order`: no trigger took it: its `if` is false, or the event was there already [{status: succeeded}]",
    ),
    "dead letters": ("then: {dead_letters: 1}", "dead_letters: expected 1, found 0 [1]"),
    "check": (
        "then: {check: output.packed.size() == 3}",
        "check `output.packed.size() == 3`: is false (output.packed = [1, 1]) [output.packed.size() == 3]",
    ),
    "in between": (
        "when: [{then: {calls: {orders.charge: 0}}}]\nthen: {status: succeeded}",
        "calls.orders.charge: expected 0, found 1 [0]",
    ),
    "one call too many": (
        "handlers: {orders.pack: [{return: 1}]}\nthen: {status: succeeded}",
        "handlers: `orders.pack` was called by `packed[1]` (attempt 1), and all its answers are used up [[{return: 1}]]",
    ),
    "no fitting answer": (
        "handlers: {orders.pack: {with: {line: a}, return: 1}}\nthen: {status: succeeded}",
        'handlers: `orders.pack` was called by `packed[1]` (attempt 1), and no answer fits {"line": "bb"} [{with: {line: a}, return: 1}]',
    ),
    "an answer that does not fit the handler": (
        "handlers: {orders.pack: {return: many}}\nthen: {status: succeeded}",
        'handlers: wrong result of orders.pack: result: Input should be a valid integer, unable to parse string as an integer: it could not return "many" [{return: many}]',
    ),
    "a crash that never comes": (
        "faults: [{crash: before_call, step: pay, attempt: 2}]\nthen: {status: succeeded}",
        "faults[0]: the crash never came: `pay` made 1 attempts [{crash: before_call, step: pay, attempt: 2}]",
    ),
    "an event that its schema refuses": (
        "given: {event: shop/order-placed, data: {id: 1}}\nthen: {status: succeeded}",
        None,
    ),
    "a time without a tick": (
        "given: {tick: 2030-06-11T07:00:00Z}\nthen: {runs: 1}",
        "given.0.tick: no schedule fires at this moment, or its trigger's `if` is false [2030-06-11T07:00:00Z]",
    ),
    "nothing to cancel": (
        "when: [{after: 1h}, {cancel: true}]\nthen: {status: cancelled}",
        "when.1.cancel: no run of `order` is going on [true]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("test", "told"), FAILING.values(), ids=FAILING)
def test_it_says_what_is_not_as_expected_and_where(player: Player, test: str, told: str | None) -> None:
    found = player.told(test)
    if told is None:
        assert len(found) == 1
        assert found[0].startswith("given.0.data: the event is refused: shop/order-placed")
    else:
        assert found == [told]


def test_a_handler_without_a_script_fails_the_test_and_says_what_to_write(player: Player) -> None:
    suite = player.suite(
        "test: it\npipeline: order\nenv: {SHOP: x}\ngiven: {call: {id: a, lines: []}}\nthen: {status: succeeded}\n"
    )
    (failure,) = suite.run(suite.tests[0]).failures
    assert failure.message == (
        "`orders.charge` was called by `pay` (attempt 1), and has no script: write"
        " `handlers: {orders.charge: {return: …}}`, or `real` to run your own"
    )


def test_arguments_that_the_handler_would_refuse_are_refused_of_a_script_too(player: Player) -> None:
    result = player.play(
        "given: {event: shop/order-placed, data: {id: o1, lines: [1]}}\n"
        "then: {status: failed, error: {class: permanent, code: handler.arguments}}"
    )
    assert result.failures == ()


def test_a_variable_that_the_pipeline_reads_and_the_test_does_not_give_is_told(player: Player) -> None:
    suite = player.suite(
        "test: it\npipeline: order\ngiven: {event: shop/order-placed, data: {id: a}}\nthen: {status: succeeded}\n"
    )
    (failure,) = suite.run(suite.tests[0]).failures
    assert failure.message.startswith("there is no run of `order`: it became a dead letter: vars.shop: ")


def test_what_happened_is_told_on_the_virtual_clock(player: Player) -> None:
    result = player.play(
        "handlers: {orders.charge: [{fail: resource, code: bank.down, message: no answer}, {return: {id: c2}}]}\n"
        "faults: [{crash: after_commit, step: pay, attempt: 2}]\nthen: {status: succeeded}"
    )
    told = [(line.at_ms, line.text, line.step, line.detail) for line in result.lines][:8]
    assert told == [
        (0, "event", "", 'shop/order-placed {"id": "o1", "lines": ["a", "bb"]}'),
        (0, "run.started", "", ""),
        (0, "handler.called", "pay", 'orders.charge {"order": "o1"} → resource/bank.down'),
        (0, "attempt.failed", "pay", "attempt 1 again in 60 s resource/bank.down: no answer"),
        (60_000, "handler.called", "pay", 'orders.charge {"order": "o1"} → {"id": "c2"}'),
        (60_000, "step.ended", "pay", "succeeded attempts 2"),
        (60_000, "group.started", "packed", "total 2"),
        (60_000, "worker.lost", "pay", "after_commit, attempt 2"),
    ]
    assert result.virtual_ms == 60_000


def test_a_skipped_test_is_not_run(player: Player) -> None:
    result = player.play("skip: not yet\nthen: {status: failed}")
    assert (result.status, result.reason, result.lines) == ("skipped", "not yet", ())


def test_tests_are_chosen_by_file_folder_pipeline_and_name(player: Player) -> None:
    one = "test: {}\npipeline: {}\ngiven: {{call: {{id: a, lines: []}}}}\nthen: {{}}\n"
    suite = player.suite("---\n".join([one.format("First", "order"), one.format("second", "listen")]))
    folder = player.folder

    def names(*paths: str, name: str = "") -> list[str]:
        return [test.name for test in suite.chosen([folder / path for path in paths], name)]

    assert names() == names("tests") == names("tests/it.test.yaml") == ["First", "second"]
    assert names("pipelines/listen.yaml") == ["second"]
    assert names("pipelines") == []
    assert names(name="first") == names(name="ORDER") == ["First"]


def test_tests_of_a_pipeline_with_errors_cannot_be_run_and_others_can(player: Player) -> None:
    (player.folder / "pipelines/listen.yaml").write_text("flowlang: 1\npipeline: listen\nstepss: []\n")
    one = "test: {0}\npipeline: {0}\ngiven: {{call: {{id: a, lines: []}}}}\nhandlers: real\nenv: {{SHOP: x}}\nthen: {{runs: 1}}\n"
    (player.folder / "tests").mkdir()
    (player.folder / "tests/it.test.yaml").write_text("---\n".join([one.format("listen"), one.format("order")]))
    from flowlang.pipeline_tests import Suite  # noqa: PLC0415 - the one test whose project has errors

    suite = Suite.load(player.folder)
    results = {result.name: result for result in suite.run_all(suite.tests)}
    assert (results["listen"].status, results["order"].status) == ("error", "passed")
    assert results["listen"].failures[0].message == "the pipeline `listen` has errors: see `flowlang validate`"


@pytest.mark.parametrize(
    ("limits", "fails"),
    [
        ("{foreach: 1}", "limit.foreach"),
        ("{steps: 4}", "limit.steps"),
        ("{run: 1KiB}", "limit.run"),
        ("{step_output: 1KiB}", ""),
        ("{foreach: 2, steps: 6, run: 1MiB}", ""),
    ],
)
def test_the_limits_of_the_project_hold_in_its_tests(player: Player, limits: str, fails: str) -> None:
    player.project_file += f"limits: {limits}\n"
    then = f"{{status: failed, error: {{code: {fails}}}}}" if fails else "{status: succeeded}"

    assert player.play(f"then: {then}").failures == ()


def test_an_output_that_is_too_large_fails_its_step_in_tests_too(player: Player) -> None:
    player.project_file += "limits: {step_output: 1KiB}\n"
    test = f'handlers: {{orders.charge: {{return: {{id: "{"x" * 1024}"}}}}}}\nthen: {{status: failed, error: {{code: output.too_large}}}}'

    assert player.play(test).failures == ()
