"""The page, the JSON and the terminal say the same numbers; the page needs nothing but itself."""

import builtins
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cdnkit.policy.outcomes import Outcome
from cdnkit.policy.record.lines import RequestRecord
from cdnlab import report
from cdnlab.report import ExtraMissing, words
from cdnlab.report.page import render
from tests.kit.report_run import lay, records

pytestmark = pytest.mark.long


class Page(HTMLParser):
    """What of a page could fetch something, its embedded data, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.tags: list[str] = []
        self.policy = ""
        self.data: dict[str, Any] = {}
        self.text: list[str] = []
        self.styles: list[str] = []
        self._inside = ""
        self._name = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if (found.get("http-equiv") or "").lower() == "content-security-policy":
            self.policy = found.get("content") or ""
        self._inside, self._name = tag, found.get("id") or ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and self._name:
            self.data[self._name] = json.loads(data)
        elif self._inside == "style":
            self.styles.append(data)
        elif self._inside != "script":
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._name = ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = lay(tmp_path_factory.mktemp("runs") / "the-run", records(11))
    report.write(directory, report.build(directory))
    return directory


def test_the_page_can_fetch_nothing(run: Path) -> None:
    text = (run / "report.html").read_text()
    page = Page(text)
    assert page.references == []
    assert page.policy.startswith("default-src 'none'")
    assert "http" not in page.policy and "*" not in page.policy
    assert not {"link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    assert not re.search(r"url\(|@import", "".join(page.styles))
    ours = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # without plotly.js and page.js
    ours = re.sub(r'<script type="application/json".*?</script>', "", ours, flags=re.DOTALL)
    assert "://" not in ours


def test_page_json_and_build_say_the_same(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    as_json = json.loads((run / "report.json").read_text())
    found = report.build(run)
    assert page.data["report"] == as_json == json.loads(json.dumps(found.to_json()))
    text = " ".join(page.text)
    for number in (
        words.percent(found.total["hit_rate"]),
        words.percent(found.total["byte_hit_rate"]),
        *(words.percent(row["hit_rate"]) for row in found.classes if row["object_class"] == "segment"),
        words.percent(found.offload["request_offload"]),
        words.percent(found.offload["byte_offload"]),
        words.count(found.total["requests"]),
    ):
        assert number in text
    assert found.definitions["hit_rate"] in text
    for row in found.node_classes:
        assert words.percent(row["hit_rate"]) in text


def test_sentences_read_well_of_every_class(run: Path) -> None:
    counted = report.build(run)
    for name in ("init", "other", "segment"):  # "a init" is no English
        counted.causes[:] = [
            {"node": "fra", "object_class": name, "outcome": "miss", "cause": "cold", "requests": 2, "bytes": 9}
        ]
        assert f"of them over all nodes, was {name}, cold (the first request for it)." in " ".join(
            words.sentences(counted)
        )


def test_the_figures_say_the_same(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    found, figures = report.build(run), page.data["figures"]
    assert set(figures) == {"hit-rate", "requests", "outcomes", "causes", "ttfb", "bytes"}
    misses = sum(sum(trace["x"]) for trace in figures["causes"]["data"])
    assert misses == sum(row["misses"] for row in found.nodes)
    requests = sum(sum(trace["y"]) for trace in figures["requests"]["data"]) * found.bin_seconds
    assert requests == pytest.approx(found.total["requests"])
    for i, _ in enumerate(found.classes):
        assert sum(trace["x"][i] for trace in figures["outcomes"]["data"]) == pytest.approx(100)
    assert all(trace["y"][-1] == pytest.approx(100) for trace in figures["ttfb"]["data"])
    asked = [sum(cell[1] for cell in trace["customdata"]) for trace in figures["hit-rate"]["data"]]
    assert sum(asked) == sum(row["cacheable"] for row in found.nodes)


def test_a_url_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    made = records(12, requests=30, nodes=("fra",))
    evil = "/</script><script>alert(1)</script><!--"
    for record in made:
        if hasattr(record, "object_class"):
            record.url = "http://fra:8080" + evil
    run = lay(tmp_path / "<b>run", made, nodes=("fra",))
    page = Page(render(report.build(run)))
    assert page.tags.count("script") == 4  # report, figures, plotly.js, page.js
    assert "<b>run" in "".join(page.text)  # the folder's name, as text
    assert any(row["path"] == evil for row in page.data["report"]["top_misses"])


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_shows_it(run: Path, width: int) -> None:
    found = report.build(run)
    console = Console(width=width, record=True, file=io.StringIO())
    report.show(found, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text, "a column was cut"
    for node in found.nodes:
        line = next(line for line in text.splitlines() if node["node"] in line and "all (" in line)
        assert words.percent(node["hit_rate"]) in line
        assert words.count(node["misses"]) in line
    assert words.percent(found.offload["request_offload"]) in text


def test_a_run_without_requests_has_a_page(tmp_path: Path) -> None:
    run = lay(tmp_path / "run", [], nodes=("fra",))
    _, html = report.write(run, report.build(run))
    page = Page(html.read_text())
    assert "No viewer sent a request" in " ".join(page.text)
    console = Console(record=True, file=io.StringIO())
    report.show(report.build(run), console)
    assert "No viewer sent a request" in console.export_text()


PERCENT = [  # share    text
    (0.5, "50.0 %"),
    (1.0, "100.0 %"),
    (0.99999, "99.9 %"),  # one miss in a hundred thousand is not none
    (0.000001, "0.1 %"),
    (0.0, "0.0 %"),
    (-0.25, "-25.0 %"),
    (None, "–"),
]


@pytest.mark.parametrize(("share", "text"), PERCENT)
def test_percent(share: float | None, text: str) -> None:
    assert words.percent(share) == text


def test_sizes() -> None:
    assert [words.size(n) for n in (0, 999, 1000, 1_234_567, 2e9, 5e12)] == [
        "0 B", "999 B", "1 kB", "1.23 MB", "2 GB", "5 TB",
    ]  # fmt: skip


@pytest.mark.parametrize("package", ["duckdb", "plotly"])
def test_a_missing_extra_says_how_to_get_it(run: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report.build(run)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing, match=re.escape(f"{package} is not installed")) as caught:
        report.build(run) if package == "duckdb" else render(found)
    assert "pip install 'cdnlab[report]'" in str(caught.value)


def test_nothing_from_outside_steers_a_terminal_or_poses_as_another_line(tmp_path: Path) -> None:
    made = records(13, requests=200, nodes=("fra",))
    evil = "\x1b]0;owned\x07\x1b[2J\r\nnote: all is well\x9b1m\u202e[red]:key:"
    for record in made:
        if isinstance(record, RequestRecord):
            record.url, record.reason, record.country = f"http://fra/{evil}", evil, evil
            record.rendition = record.behavior = evil
    run = lay(tmp_path / "run", made, nodes=("fra",))
    report.write(run, report.build(run))
    found = report.build(run)
    console = Console(width=160, file=(out := io.StringIO()), force_terminal=False)
    report.show(found, console)
    shown = out.getvalue() + (run / "report.html").read_text()
    for one in "\x1b\x07\x9b\u202e\r":
        assert one not in shown
    assert not any(line.startswith("note: all is well") for line in out.getvalue().splitlines())
    assert "\\x1b]0;owned" in out.getvalue() and "[red]" in out.getvalue()


def test_the_terminal_says_why_requests_were_refused(tmp_path: Path) -> None:
    made = records(14, requests=400, nodes=("fra",))
    found = report.build(lay(tmp_path / "run", made, nodes=("fra",)))
    report.show(found, Console(width=120, file=(out := io.StringIO())))
    text = out.getvalue()
    assert text.index("for the reasons below") < text.index("Refused at the gate ")
    for row in found.refusals[:10]:
        assert any(
            {row["reason"], row["country"]} <= set(map(str.strip, line.split("│"))) for line in text.splitlines()
        )
    assert words.period(found) in text


def test_of_many_reasons_the_terminal_shows_the_first(tmp_path: Path) -> None:
    made = records(15, requests=400, nodes=("fra",))
    for n, record in enumerate(made):
        if isinstance(record, RequestRecord) and record.outcome is Outcome.REFUSED:
            record.reason = f"reason {n}"
    found = report.build(lay(tmp_path / "run", made, nodes=("fra",)))
    report.show(found, Console(width=120, file=(out := io.StringIO())))
    assert len(re.findall(r"reason \d", out.getvalue())) == 10
    assert len(found.refusals) > 10 and "others, in report.json" in out.getvalue()


def test_of_players_that_saw_nothing_no_share_is_told(tmp_path: Path) -> None:
    found = report.build(lay(tmp_path / "run", records(17, requests=50, nodes=("fra",)), nodes=("fra",)))
    none = {"viewers": 2, "stalls": 0, "rebuffer_ratio": None, "startup_ms": None, "live_latency": None}
    assert words.player_sentence(replace(found, players={"total": none})) == "2 players came, and none saw a picture."
