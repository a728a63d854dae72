"""The house of tests: a folder a kind, and in `unit/` a module stands where its source file stands.

`unit/cdnkit/policy/gate/test_hosts.py` is about `cdnkit/policy/gate/hosts.py`, and so is a `test_hosts_<aspect>.py`. What
shows itself only through a whole machine, a socket or a process has no unit module; `HELD` says which module holds it.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.test_arrows import imports_of

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
KINDS = {"unit", "law", "random", "real", "outside", "soak", "bench", "mutants", "kit"}
PACKAGES = ("cdnkit", "cdnlab", "edge", "origin", "transcode", "loadtests")

HELD = [  # module, folder, its files
    # the policy: through the machine that it makes
    ("law/playbooks/test_machine", "cdnkit/policy", "outcomes rule"),
    ("real/edge/test_purge_poison", "cdnkit/policy", "plan"),
    ("law/playbooks/test_machine", "cdnkit/policy/machine", "fills flights key_facts purges requests state"),
    ("law/playbooks/test_law", "cdnkit/policy/machine", "landings"),
    ("law/playbooks/test_fallback", "cdnkit/policy/machine", "fallback"),
    ("law/vendors/test_purging", "cdnkit/policy/machine", "purge_marks"),
    ("law/vendors/test_third_vendor", "cdnkit/policy/machine", "purge_requests"),
    ("unit/cdnkit/policy/gate/test_checks", "cdnkit/policy/gate", "plain"),
    ("unit/cdnkit/policy/gate/test_gate_order", "cdnkit/policy/gate", "admission check tokens"),
    ("unit/cdnkit/replay/test_trace_of_old_records", "cdnkit/replay", "gate"),
    ("unit/cdnkit/replay/test_trace", "cdnkit/replay", "trace_files"),
    ("random/properties/test_index", "cdnkit/policy/store", "entry groups index purged variants"),
    ("law/playbooks/test_reuse", "cdnkit/policy/store", "parts"),
    ("law/vendors/test_requests", "cdnkit/policy/store", "key"),
    ("real/stores/test_disk", "cdnkit/policy/store", "serialise"),
    ("random/properties/test_eviction", "cdnkit/policy/store/eviction", "lru room rooms s3fifo sieve textbook"),
    ("law/playbooks/test_reuse", "cdnkit/policy/freshness", "directives reuse"),
    ("law/vendors/test_fastly_freshness", "cdnkit/policy/freshness", "surrogate"),
    ("law/vendors/test_pages", "cdnkit/policy/answer", "error_pages"),
    ("law/playbooks/test_many", "cdnkit/policy/answer", "prepared"),
    ("law/vendors/test_ranges", "cdnkit/policy/http", "conditions"),
    ("law/vendors/test_requests", "cdnkit/policy/http", "content messages"),
    ("law/playbooks/test_machine", "cdnkit/policy/http", "negotiation"),
    ("unit/cdnkit/policy/freshness/test_storable", "cdnkit/policy/http", "hops"),
    ("unit/cdnkit/policy/machine/test_machine_memory", "cdnkit/policy/http", "memo"),
    ("unit/cdnkit/policy/gate/test_geo", "cdnkit/policy/http", "place"),
    ("unit/cdnkit/policy/gate/test_geo", "cdnkit/policy/rules", "places"),
    ("unit/cdnkit/policy/gate/test_rates", "cdnkit/policy/rules", "rate_limit"),
    ("unit/cdnkit/policy/rules/test_matching", "cdnkit/policy/rules", "globs"),
    ("law/vendors/test_requests", "cdnkit/policy/rules", "parent_headers"),
    ("law/vendors/test_settings_have_effect", "cdnkit/policy/rules", "resolve service"),
    ("law/vendors/test_response_headers", "cdnkit/policy/rules", "response_headers response_policy"),
    ("law/playbooks/test_law", "cdnkit/policy/rules", "profile"),
    ("law/vendors/test_third_vendor", "cdnkit/policy/rules", "signature"),
    ("unit/cdnlab/settings/test_document", "cdnkit/policy/rules", "tokens"),
    ("real/edge/test_secrets", "cdnkit/policy/record", "secrets"),
    ("unit/cdnkit/policy/token/test_cloudfront", "cdnkit/policy/token", "cloudfront_policy"),
    ("unit/cdnkit/policy/token/test_playlist", "cdnkit/policy/token", "dash hls"),
    ("unit/cdnkit/policy/gate/test_gate", "cdnkit/policy/token", "fastly"),
    ("unit/cdnkit/policy/token/test_scheme_refusals", "cdnkit/policy/token", "factory"),
    ("law/vendors/test_failover", "cdnkit/policy/upstream", "failover"),
    ("law/vendors/test_requests", "cdnkit/policy/upstream", "forward"),
    ("law/playbooks/test_law", "cdnkit/policy/upstream", "invalidation"),
    ("law/playbooks/test_manners", "cdnkit/policy/upstream", "request"),
    # the vendors: their pages, a row a rule
    ("law/vendors/test_third_vendor", "cdnkit/vendors", "__init__"),
    ("law/vendors/test_settings_have_effect", "cdnkit/vendors", "misfits"),
    ("law/vendors/test_requests", "cdnkit/vendors/cloudfront", "origin_request viewer"),
    ("law/vendors/test_fields", "cdnkit/vendors/cloudfront", "pages signature"),
    ("law/vendors/test_debug", "cdnkit/vendors/cloudfront", "server_timing"),
    ("law/vendors/test_requests", "cdnkit/vendors/fastly", "coding"),
    ("law/vendors/test_debug", "cdnkit/vendors/fastly", "debug names"),
    ("law/vendors/test_fields", "cdnkit/vendors/fastly", "hop pages signature"),
    ("law/vendors/test_fastly_freshness", "cdnkit/vendors/fastly", "profile"),
    # the rest of the kit
    ("random/properties/test_replay_jumps", "cdnkit/replay", "jump node recency"),
    ("random/properties/test_replay_gaps", "cdnkit/replay", "gaps"),
    ("unit/cdnlab/tasks/test_replay", "cdnkit/replay", "runs"),
    ("real/serving/test_tls", "cdnkit/serving", "authority certificates"),
    ("real/edge/test_tls", "cdnkit/serving", "folder"),
    ("real/serving/test_attacks", "cdnkit/serving", "budget http2"),
    ("real/serving/test_slow", "cdnkit/serving", "patience"),
    ("real/serving/test_lines", "cdnkit/serving", "http1"),
    ("real/serving/test_listener", "cdnkit/serving", "connection inbox listener roles"),
    ("real/serving/test_asgi_socket", "cdnkit/serving", "asgi_socket"),
    ("real/serving/test_guard", "cdnkit/serving", "guard"),
    ("real/edge/test_front", "cdnkit/serving", "exchange front front_roles"),
    ("real/edge/test_front", "edge", "at_once short whole"),
    ("random/properties/test_short_way", "cdnkit/policy/machine", "short_way"),
    ("real/serving/test_front_http2", "cdnkit/serving", "exchange_http2 front_http2 open_streams"),
    ("real/serving/test_lingering", "cdnkit/serving", "lingering"),
    ("real/serving/test_slow", "cdnkit/serving", "stalls"),
    ("unit/cdnkit/serving/test_frame_reader", "cdnkit/serving", "frames"),
    ("unit/cdnkit/serving/test_turns", "cdnkit/serving", "streams"),
    ("real/attacks/test_protocols", "cdnkit/serving", "fields"),
    ("real/edge/test_http3", "cdnkit/serving", "http3"),
    ("real/transcode/test_find", "cdnkit/settings", "discretion"),
    ("unit/cdnlab/settings/test_document", "cdnkit/settings", "edge load origin parent_url"),
    ("unit/cdnlab/settings/test_document", "cdnkit/units", "visible"),
    # the edge: over sockets
    ("real/edge/test_serving", "edge", "delivery driver errors fills response responses serve"),
    ("real/edge/test_serving", "edge", "stored_bodies viewer"),
    ("real/edge/test_fill", "edge", "fill"),
    ("real/edge/test_waiters", "edge", "waiter"),
    ("real/edge/test_waiters", "cdnkit/serving", "later_http2"),
    ("real/edge/test_admin", "edge", "admin"),
    ("real/edge/test_health_intervals", "edge", "health_checks"),
    ("real/edge/test_clock", "edge", "clock"),
    ("law/vendors/test_compression", "edge", "codings"),
    ("real/edge/test_tokens", "edge", "keys token_children"),
    ("real/edge/test_records", "edge", "blind log record_files record_writer"),
    ("real/edge/test_parents", "edge", "parents"),
    ("real/edge/test_services", "edge", "services"),
    ("real/edge/test_slices", "edge", "slices"),
    ("real/edge/test_tls", "edge", "tls"),
    ("real/edge/test_upstream", "edge", "upstream"),
    ("real/edge/test_geo", "edge", "viewers"),
    ("real/edge/test_timers", "edge/parent", "deadline slots"),
    ("real/edge/test_fill", "edge/parent", "attempt chunked"),
    ("real/edge/test_reserved", "edge/parent", "reserved"),
    ("real/edge/test_upstream", "edge/parent", "dialer exchange head request_head"),
    ("real/edge/test_upstream_http2", "edge/parent", "h2_library http2 stream"),
    ("real/edge/test_upstream_polite", "edge/parent", "repeatable"),
    ("real/edge/test_purge_logs", "edge/purges", "file_log log redis_log"),
    ("real/edge/test_purge_poison", "edge/purges", "order progress requests"),
    ("random/properties/test_replicas", "edge/workers", "asides replica"),
    ("real/edge/test_workers", "edge", "node_parts"),
    ("real/edge/test_workers", "edge/workers", "commission crew team worker"),
    ("real/stores/test_disk", "edge/stores", "discards disk disk_folder writer"),
    ("real/stores/test_shared", "edge/stores", "parcel"),
    ("real/edge/test_serving", "edge/stores", "store"),
    # the origin, over sockets and with a real encoder
    ("unit/origin/media/test_fragments", "origin/media", "boxes"),
    ("unit/origin/media/test_fragments", "origin", "errors"),
    ("unit/origin/hls/test_playlist", "origin/publishing", "catalog"),
    ("unit/origin/hls/test_playlist", "origin/live", "window"),
    ("unit/origin/live/test_stream_frames", "origin/live", "account"),
    ("unit/origin/live/test_stream_frames", "origin/media", "samples"),
    ("unit/origin/live/test_stream", "origin/live", "session timeline"),
    ("unit/origin/live/test_stream_parts", "origin/live", "key_frames part_maker parts"),
    ("unit/origin/hls/test_low_latency", "origin/live", "part_window"),
    ("unit/origin/publishing/test_held", "origin/publishing", "listing waiting"),
    ("unit/origin/dash/test_presentation", "origin/publishing", "manifests"),
    ("unit/origin/dash/test_presentation", "origin/dash", "period"),
    ("unit/origin/media/test_edit_lists", "origin/media", "presented"),
    ("real/origin/test_faults", "origin", "faults"),
    ("unit/origin/hls/test_date_ranges", "origin/hls", "attributes interstitials"),
    ("real/origin/test_date_ranges", "origin/publishing", "date_ranges documents splices"),
    ("real/origin/test_steering", "origin/publishing", "steering"),
    ("real/origin/test_steering", "origin/ingest", "steering"),
    ("unit/cdnlab/settings/test_steering", "cdnkit/settings", "steering"),
    ("unit/cdnlab/settings/test_steering", "cdnlab/settings/checks", "steering"),
    ("real/origin/test_date_ranges", "origin/ingest", "date_ranges orders"),
    ("real/origin/test_authentication", "origin/ingest", "authentication strangers"),
    ("real/origin/test_authentication", "origin", "tls"),
    ("real/origin/test_ingest_bounds", "origin/ingest", "first_piece open_requests"),
    ("real/origin/test_refusals", "origin/ingest", "refusing"),
    ("real/origin/test_statuses", "origin/ingest", "content"),
    ("unit/origin/ingest/test_credentials", "cdnkit/settings", "encoder_secrets ingest"),
    ("unit/cdnlab/settings/test_document", "cdnkit/settings", "certificate"),
    ("real/origin/test_uploads", "origin/uploads", "body endpoint files interfaces uploads"),
    ("unit/cdnlab/settings/test_document", "cdnlab/settings/checks", "encryption"),
    ("real/origin/test_mpegts", "origin/mpegts", "alternative"),
    ("real/origin/test_subtitles", "origin/webvtt", "subtitles"),
    ("real/origin/test_encryption", "origin/publishing", "protection"),
    ("real/origin/test_slice_headers", "origin/encryption", "slice_headers"),
    ("real/origin/test_retention", "origin/publishing", "retention"),
    ("real/origin/test_http", "origin", "app serve"),
    ("real/origin/test_vod", "origin", "vod"),
    ("real/origin/test_http", "origin/ingest", "endpoint"),
    ("real/origin/test_recordings", "origin/publishing", "recordings"),
    ("real/origin/test_recordings", "origin/ingest", "recordings"),
    ("real/origin/test_recordings", "cdnkit/settings", "recordings"),
    ("real/origin/test_http", "origin/publishing", "bodies"),
    ("real/origin/test_crash", "origin/publishing", "hands resumption"),
    ("real/origin/test_s3", "origin/storage", "s3"),
    ("unit/origin/storage/test_folder", "origin/storage", "directory"),
    ("unit/origin/storage/test_backlog", "origin/storage", "store"),
    ("unit/origin/publishing/test_publisher", "origin/storage", "opening"),
    # real ffmpegs, a real locust
    ("real/transcode/test_posts", "transcode", "posts"),
    ("real/transcode/test_find", "transcode", "encoders errors ffmpeg source"),
    ("real/transcode/test_live", "transcode", "events process"),
    ("real/transcode/test_vod", "transcode", "i_frames child multivariant vod"),
    ("real/transcode/test_packaging", "transcode", "manifest media packaging"),
    ("real/loadtests/test_live", "loadtests", "errors session user"),
    # cdnlab: as a process, and as a cluster
    ("real/cdnlab/test_cli", "cdnlab", "cli errors"),
    ("real/cdnlab/test_cli", "cdnlab/commands", "doctor edge init load origin replay report schema sign transcode"),
    ("real/cdnlab/test_cli", "cdnlab/tasks", "doctor report transcode"),
    ("real/live/test_latency", "cdnlab/commands", "latency"),
    ("real/live/test_latency", "cdnlab/tasks", "latency"),
    ("real/live/test_latency", "cdnlab/screen", "latency"),
    ("real/cdnlab/test_latency", "cdnlab/latency", "probe watch"),
    ("real/cdnlab/test_ca", "cdnlab/commands", "ca"),
    ("real/cdnlab/test_ca", "cdnlab/tasks", "ca"),
    ("real/cdnlab/test_recordings", "cdnlab/commands", "recordings"),
    ("real/cdnlab/test_recordings", "cdnlab/tasks", "recordings"),
    ("real/cdnlab/test_purge", "cdnlab/commands", "purge"),
    ("real/cdnlab/test_purge", "cdnlab/tasks", "purge"),
    ("real/edge/test_explain", "cdnlab/commands", "explain"),
    ("real/edge/test_explain", "cdnlab/tasks", "explain"),
    ("real/edge/test_explain", "cdnlab/screen", "explanation"),
    ("real/live/test_commands", "cdnlab/commands", "demo"),
    ("real/live/test_commands", "cdnlab/tasks", "demo load"),
    ("real/live/test_cluster", "cdnlab/commands", "up"),
    ("real/live/test_cluster", "cdnlab/tasks", "up"),
    ("real/live/test_cluster", "cdnlab/lab", "cluster distribution_rules door event_loop foreground nodes ports session"),
    ("real/cdnlab/test_children", "cdnlab/lab", "children"),
    ("unit/cdnlab/client/test_signing", "cdnlab/client", "tokens"),
    ("real/live/test_playback", "cdnlab/client", "viewer"),
    ("unit/cdnlab/screen/test_terminal", "cdnlab/screen", "display"),
    ("unit/cdnlab/settings/test_document", "cdnlab/settings", "alone complaints hosted options"),
    ("unit/cdnlab/settings/test_document", "cdnlab/settings/checks", "addresses draft files parents rules run streams"),
    ("unit/cdnlab/settings/test_example", "cdnlab/settings", "schema"),
    ("unit/cdnlab/report/test_facts", "cdnlab/report", "errors figures run_files sql"),
    ("unit/cdnlab/report/test_page", "cdnlab/report", "__init__ table words"),
    ("real/control/test_invalidations", "cdnlab/control", "app cloudfront fleet invalidations rest_xml settings"),
    ("real/control/test_distributions", "cdnlab/control", "distributions takeover"),
    ("real/control/test_fastly", "cdnlab/control", "fastly"),
    ("real/live/test_control", "cdnlab/control", "serve"),
]  # fmt: skip
"""By what holds them: source files without a unit module. A module here imports its files, or runs the program they are in."""

ROWS = [(f"tests/{module}.py", f"{folder}/{name}.py") for module, folder, names in HELD for name in names.split()]


def sources() -> dict[str, bool]:
    """Path of each source file, and whether it has behaviour: something that can be called."""
    return {
        str(file.relative_to(ROOT)): any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        )
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }


def source_of(module: Path) -> str | None:
    """The file that a unit module is about, by its name: `test_hosts_of_a_node.py` is about `hosts.py` beside it."""
    words = module.stem.split("_")[1:]
    names = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    paths = [str(module.parent.relative_to(TESTS / "unit") / f"{name}.py") for name in names]
    return next((path for path in paths if (ROOT / path).is_file()), None)


UNITS = sorted((TESTS / "unit").rglob("test_*.py"))


def test_a_folder_a_kind_and_every_folder_a_package() -> None:
    assert {folder.parent.name for folder in TESTS.glob("*/__init__.py")} == KINDS
    folders = {file.parent for file in TESTS.rglob("*.py") if not {".venv", "node_modules"} & set(file.parts)}
    assert sorted(str(folder) for folder in folders if not (folder / "__init__.py").exists()) == []
    assert [str(file) for file in (TESTS / "kit").rglob("test_*.py")] == [], "the kit holds helpers alone"


NAMES = [  # a module in unit/cdnkit/policy/http               is about
    ("test_path_forms.py", "path_forms.py"),
    ("test_path_forms_rounds.py", "path_forms.py"),
    ("test_path.py", None),
    ("test_nothing_of_that_name.py", None),
]


@pytest.mark.parametrize(("module", "source"), NAMES)
def test_what_a_unit_module_is_about(module: str, source: str | None) -> None:
    about = source_of(TESTS / "unit/cdnkit/policy/http" / module)
    assert about == (source and f"cdnkit/policy/http/{source}")


def test_a_unit_module_stands_where_its_source_stands() -> None:
    assert [str(module.relative_to(ROOT)) for module in UNITS if source_of(module) is None] == []


def test_every_source_file_with_behaviour_is_held_by_a_unit_module_or_a_row() -> None:
    behaving = {path for path, behaves in sources().items() if behaves and path != "cdnlab/__main__.py"}
    units = {source_of(module) for module in UNITS}
    rows = [path for _, path in ROWS]
    assert sorted(behaving - units - set(rows)) == [], "with neither"
    assert sorted(path for path in rows if path in units or path not in behaving) == [], "rows that are not needed"
    assert len(rows) == len(set(rows))


# ---- what a module reaches -----------------------------------------------------------------------------------------


def file_of(module: str) -> Path | None:
    """The file of a module of ours; of `package.module.Name` too."""
    while module.partition(".")[0] in {*PACKAGES, "tests"}:
        path = ROOT / module.replace(".", "/")
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        module = module.rpartition(".")[0]
    return None


@cache
def reached_from(file: Path) -> frozenset[Path]:
    """Files that this one imports, and what the programs import that it starts."""
    text = file.read_text(encoding="utf-8")
    modules = [module for _, module in imports_of(file)] + re.findall(r"^\s*from ([\w.]+) import ", text, re.MULTILINE)
    if TESTS in file.parents:
        programs = re.findall(r'"-m", "([\w.]+)"', text) + ["loadtests.locustfile"] * ("LOCUSTFILE" in text)
        modules += ["cdnlab.cli" if program == "cdnlab" else program for program in programs]
    return frozenset(found for module in modules if (found := file_of(module)) is not None)


@pytest.mark.parametrize("module", sorted({module for module, _ in ROWS}))
def test_a_module_reaches_what_it_holds(module: str) -> None:
    seen, waiting = set[Path](), [ROOT / module]
    conftest = (ROOT / module).with_name("conftest.py")
    waiting += [conftest] if conftest.exists() else []
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting += reached_from(here)
    assert [path for held_by, path in ROWS if held_by == module and ROOT / path not in seen] == []
