"""A failing case made small, and printed so that it can be pasted into tests/law/playbooks."""

from collections.abc import Callable
from dataclasses import fields, replace

from tests.random.fuzz.oracle import Wrong
from tests.random.fuzz.steps import Step
from tests.random.fuzz.world import World

Start = Callable[[], World]


def complaint_of(steps: list[Step], start: Start) -> Wrong | None:
    """What is wrong with this life, if anything. Anything else that is raised is a crash, and wrong too."""
    world = start()
    try:
        world.live(steps)
    except Wrong as wrong:
        return wrong
    return None


def kind_of(steps: list[Step], start: Start) -> str | None:
    """The word for what is wrong: of a crash, the exception's name and place."""
    try:
        wrong = complaint_of(steps, start)
    except Exception as crash:
        trace = crash.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else "?"
        return f"crash-{type(crash).__name__}-{where}"
    return None if wrong is None else wrong.complaint.kind


def minimised(steps: list[Step], start: Start) -> list[Step]:
    """The same kind of wrong with as few steps, fields and directives as can be found by taking away."""
    kind = kind_of(steps, start)
    shrunk = True
    while shrunk:
        shrunk = False
        for size in (8, 4, 2, 1):
            at = 0
            while at < len(steps):
                fewer = steps[:at] + steps[at + size :]
                if kind_of(fewer, start) == kind:
                    steps, shrunk = fewer, True
                else:
                    at += 1
        for at, step in enumerate(steps):
            for simpler in _simpler(step):
                candidate = [*steps[:at], simpler, *steps[at + 1 :]]
                if kind_of(candidate, start) == kind:
                    steps, shrunk = candidate, True
                    break
    return steps


def _simpler(step: Step) -> list[Step]:
    """This step with one thing less, or with one thing as it is by default."""
    plain = type(step)()
    found: list[Step] = []
    for each in fields(step):
        value, default = getattr(step, each.name), getattr(plain, each.name)
        if value == default:
            continue
        if isinstance(value, dict):
            found += [
                replace(step, **{each.name: {key: word for key, word in value.items() if key != gone}})  # type: ignore[arg-type]
                for gone in value
            ]
        else:
            found.append(replace(step, **{each.name: default}))
    return found


def playbook(steps: list[Step], start: Start, name: str) -> str:
    """The case as a test function of tests/law/playbooks/test_machine.py."""
    world = start()
    try:
        world.live(steps)
        end = "# nothing wrong"
    except Wrong as wrong:
        end = f"assert not isinstance({wrong.expression}, Serve)  # {wrong}"
    except Exception as crash:
        end = f"# the line before raised {crash!r}"
    body = "\n    ".join(["edge = machine()", *world.lines, end])
    return f"def test_{name}() -> None:\n    {body}\n"
