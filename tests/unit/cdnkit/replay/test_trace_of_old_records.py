"""Records of an earlier version, kept as it wrote them: they still replay, and the report counts them.

The lines in `old_run/` are real ones: of a node with geo, a token, a slice, a bypass and purges of every kind (`fra`), and of
one whose first file is gone and whose last lines could not be written (`nyc`).
"""

from pathlib import Path

from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.rules.profile import RFC9111
from cdnkit.policy.rules.service import Behavior, Geo, Service
from cdnkit.policy.rules.tokens import Fastly
from cdnkit.replay import Missing, read_trace, replay_node
from cdnlab import report

OLD = Path(__file__).parent / "old_run"
RULES = (
    Behavior(path="/guarded/*", token="viewer"),
    Behavior(path="/pass/*", cache=False),
    Behavior(path="/sliced*", slice="4KiB"),
    Behavior(path="*", geo=Geo(deny=("KP",), unknown="allow")),
)
TOKENS = {"viewer": Fastly(key="c2VjcmV0IG9mIHRoZSB0ZXN0cw==")}


def test_old_records_replay() -> None:
    replayed = replay_node(
        read_trace(OLD / "records/fra.jsonl"), Service(name="fra", behaviors=RULES, tokens=TOKENS), RFC9111
    )
    assert replayed.differences == []
    assert replayed.outcomes == {
        Outcome.MISS: 11, Outcome.HIT: 3, Outcome.COLLAPSED: 2, Outcome.PASS: 3, Outcome.REFUSED: 2, Outcome.FAILED: 1,
    }  # fmt: skip
    assert (replayed.requests, replayed.not_compared) == (22, 0)


def test_old_records_with_gaps_replay() -> None:
    trace = read_trace(OLD / "records/nyc.part-2.jsonl")
    assert (trace.missing(Missing.OLD), trace.missing(Missing.LOST)) == (3, 4)
    assert replay_node(trace, Service(name="nyc", behaviors=RULES, tokens=TOKENS), RFC9111).differences == []


def test_the_report_counts_old_records() -> None:
    found = report.build(OLD)
    assert [(row["node"], row["requests"], row["hits"], row["misses"], row["refused"]) for row in found.nodes] == [
        ("fra", 20, 5, 9, 2), ("nyc", 2, 1, 1, 0),
    ]  # fmt: skip
    assert [row["what"] for row in found.purges] == [
        "surrogate-key", "surrogate-key", "surrogate-keys", "prefix", "url", "everything",
    ]  # fmt: skip
    assert {(row["node"], row["fetches"]) for row in found.repeated} == {("fra", 5), ("nyc", 1)}
    assert [note for note in found.notes if "could not be read" in note] == []
    assert "records of nyc: 3 older records are no longer kept" in found.notes[0]
