"""Every number with a name, as it is documented: bounds, patience, statuses, versions of formats.

A test that fills a table to its bound takes a small one, or the number from where it stands, so that the number itself
could become another unnoticed. Here it is written a second time. A new one asks for a row; a row whose number is gone
asks to go.
"""

import ast
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Number = int | float | Fraction | tuple["Number", ...] | frozenset["Number"]

NUMBERS: dict[str, list[tuple[str, Number]]] = {
    "cdnkit/policy": [
        ("cache of _vendor_directives", 4_096),
        ("HEURISTIC_STATUSES", frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})),
        ("NEGATIVE_STATUSES", frozenset({404, 410})),
        (
            "UNDERSTOOD_STATUSES",
            frozenset(
                {
                    200,
                    203,
                    204,
                    300,
                    301,
                    302,
                    303,
                    307,
                    308,
                    400,
                    401,
                    403,
                    404,
                    405,
                    410,
                    414,
                    500,
                    501,
                    502,
                    503,
                    504,
                }
            ),
        ),
        ("NEVER_STORED", frozenset({304, 416, 428, 429, 431, 511})),
        ("MOVED", 301),
        ("REMEMBERED_CLIENTS", 65_536),
        ("LONGEST", 2 * 2**30),
        ("_LONGEST", 45),
        ("_LONGER", 64),
        ("cache of _parse", 4_096),
        ("cache of _format", 256),
        ("LONGEST", 1_024),
        ("_ROUNDS", 3),
        ("MOST_SPANS", 16),
        ("cache of is_token", 512),
        ("MOST_MARKS", 4_096),
        ("PASSED_ON", frozenset({102, 103})),
        ("UNREAD", -1),
        ("ALL_BEFORE", -1),
        ("UNTAKEN_S", 1.0),
        ("UNDONE_S", 120.0),
        ("PATIENCE_S", 2.0),
        ("DEEPEST", 16),
        ("LONGEST_REMEMBERED", 512),
        ("cache of _classify", 16_384),
        ("_MOST_DECODED", 4),
        ("_LONGEST_NAME", 256),
        ("MOST_PREPARED", 8_192),
        ("MOST_REFUSALS", 256),
        ("HEAD_COST_BYTES", 1_536),
        ("FIELDS", 8),
        ("FIELD_COST_BYTES", 160),
        ("SURROGATE_KEYS", 2),
        ("SURROGATE_KEY_COST_BYTES", 104),
        ("LONGEST_SHARED", 1_024),
        ("cache of _shared", 4_096),
        ("SMALL_SHARE", 0.1),
        ("MOST_USES", 3),
        ("REMEMBERED_KEYS", 65_536),
        ("MOST_PARTS", 8),
        ("RELEASED_AT_ONCE", 16),
        ("PURGED_AT_ONCE", 128),
        ("cache of _among", 1_024),
        ("FORMAT", 1),
        ("WHOLE", -1),
        ("REMEMBERED_VERSIONS", 16_384),
        ("REMEMBERED_TARGETS", 32_768),
        ("UNBOUNDED", 2**31),
        ("_NEVER", -1),
        ("cache of _glob", 4_096),
        ("cache of _regex", 1_024),
        ("LAST_EPOCH", 2_147_483_647),
        ("SHORTEST_SECRET", 32),
        ("LARGEST", 4 * 2**20),
        ("LONGEST", 8_192),
        ("cache of _remembered", 1_024),
        ("MAY_NAME", frozenset({400, 403, 404, 416, 500, 502, 503, 504})),
        ("SICK_STATUSES", frozenset({502, 503, 504})),
        ("PACKET_BYTES", 1_460),
        ("FIRST_RTO_S", 1.0),
        ("LEAST_RTO_S", 0.2),
        ("MAX_UPSTREAM_REQUESTS", 2),
        ("HARMLESS_LIMIT", 2),
    ],
    "cdnkit/replay": [
        ("MOST_DIFFERENCES", 1_000),
        ("REPORT_EVERY", 1_024),
        ("CHUNK_BYTES", 4 * 2**20),
        ("REMEMBERED", 65_536),
        ("READ_BYTES", 2_048),
    ],
    "cdnkit/serving": [
        ("GRAIN_S", 0.05),
        ("YEARS", 5),
        ("LEAF_DAYS", 30),
        ("CONTEXTS", 256),
        ("RESETS", (1_000, 33.0)),
        ("ODDITIES", (10_000, 330.0)),
        ("LINGER_S", 2.0),
        ("HIGH_WATER_BYTES", 65_536),
        ("DECODED_HEADS", 4),
        ("UNTAKEN_BYTES", 524_288),
        ("UNREAD_BYTES", 4 * 2**20),
        ("FULL_BYTES", 65_536),
        ("LARGEST_HEAD", 16_384),
        ("LONGEST_REMEMBERED", 1_024),
        ("REMEMBERED", 4_096),
        ("_BODILESS", (204, 304)),
        ("JOINED_BYTES", 65_536),
        ("PIECE_BYTES", 262_144),
        ("LATE_S", 0.05),
        ("WAITING_BYTES", 65_536),
        ("_BODILESS", (204, 304)),
        ("CONTINUATIONS", 64),
        ("HEAD_BYTES", 9),
        ("LARGEST_FRAME", 16_384),
        ("INITIAL_WINDOW", 65_535),
        ("JOINED_BYTES", 65_536),
        ("LONGEST_INTEGER", 5),
        ("CREDIT_BYTES", 16_384),
        ("REMEMBERED_RESETS", 256),
        ("WRITTEN_BYTES", 262_144),
        ("BEYOND_BYTES", 65_536),
        ("FEW_BYTES", 65_536),
        ("TURN_BYTES", 65_536),
        ("BACKLOG", 1_024),
        ("UNSENT_BYTES", 131_072),
        ("GRACE_S", 0.4),
        ("TURNED_AWAY", 64),
        ("DESCRIPTORS", 65_536),
    ],
    "cdnkit/settings": [
        ("SHORTEST_SECRET", 16),
        ("LARGEST_FILE", 65_536),
        ("_TOO_SHORT", 4),
        ("FILE_BLOCK_BYTES", 4_096),
        ("FORGOTTEN_BYTES", 65_536),
        ("MOST_PATHWAYS", 32),
        ("PIXELS_PER_CORE", 60_000_000),
        ("ENCODER_SHARE", Fraction(1, 4)),
    ],
    "cdnkit/vendors": [
        ("_YEAR", 31536000.0),
        ("_DAY", 86400.0),
    ],
    "edge": [
        ("MOST_KEYS", 1_000),
        ("LARGEST_ORDER", 2**20),
        ("LONGEST_COOKIE_NAME", 64),
        ("WINDOW_BYTES", 262_144),
        ("PIECE_BYTES", 65_536),
        ("LAGGING_S", 1.0),
        ("GZIP_LEVEL", 6),
        ("BROTLI_QUALITY", 5),
        ("SLICE_RECORDS", 64),
        ("WRITE_BYTES", 262_144),
        ("FLUSH_SECONDS", 0.25),
        ("WAITING_BYTES", 16 * 2**20),
        ("LAST_WRITE_S", 10.0),
        ("PARTS", 8),
        ("FRAME_LIMIT_BYTES", 65_536),
        ("HEAD_LIMIT_BYTES", 65_536),
        ("FIELD_LIMIT", 256),
        ("OF_ITS_REST", 0.8),
        ("CONNECTION_WINDOW_BYTES", 16 * 2**20),
        ("STREAMS_LIMIT", 1_000),
        ("PIECE_BYTES", 16_384),
        ("KEPT_BYTES", 65_535),
        ("APPLICATION", 1_667_526_256),
        ("LOCK_WAIT_S", 5.0),
        ("LOOK_S", 0.02),
        ("LOOK_S", 0.02),
        ("KEPT", 100_000),
        ("BATCH", 1_000),
        ("IDLE_S", 1.0),
        ("LOOK_S", 0.01),
        ("ANSWER_S", 5.0),
        ("RESULTS_S", 3_600),
        ("OF_THE_OBJECT", (200, 206, 304)),
        ("FAILURES", 3),
        ("PAUSE_S", 5.0),
        ("AT_ONCE", 128),
        ("READERS", 4),
        ("PENDING_BYTES", 64 * 2**20),
        ("FOLDERS", 256),
        ("APPLICATION", 1_667_526_252),
        ("FORMAT", 1),
        ("LOCK_WAIT_S", 2.0),
        ("FORMAT", 1),
        ("ASK_S", 0.25),
        ("PUT_S", 2.0),
        ("LARGEST_BYTES", 8 * 2**20),
        ("PENDING_BYTES", 32 * 2**20),
        ("LONGEST_S", 86400.0),
        ("EPOCH", 1_000_000_000_000_000),
        ("UNSENT_MARKS", 10_000),
        ("BATCH_BYTES", 16 * 2**20),
        ("BATCH_OPERATIONS", 4_096),
        ("FEW", 256),
        ("KEEP_ALIVE_S", 4.0),
        ("DRAINING", 2),
        ("_WORTH_REMEMBERING", 512),
        ("cache of self.place_of", 65_536),
        ("cache of self.is_trusted", 65_536),
        ("cache of self._peer", 65_536),
        ("cache of self._named_in", 4_096),
    ],
    "cdnkit/hls": [
        ("_REGISTERED", 4),
        ("VERSION", 5),
    ],
    "origin": [
        ("LARGEST_REQUEST", 16_384),
        ("MOST_KIDS", 64),
        ("BLOCK", 16),
        ("SIZE", 16),
        ("SLACK_S", 0.1),
        ("_DATA_OFFSET", 1),
        ("WINDOWS", (96, 4_096)),
        ("_MOST_REFERENCES", 32),
        ("_MOST_OPERATIONS", 66),
        ("LONGEST_CLEAR", 65_535),
        ("MOST", 42),
        ("_SLICES", (1, 5)),
        ("_PARTITIONS", (2, 3, 4)),
        ("CHUNK", 262_144),
        ("CLOCK", 90_000),
        ("_CLOCK", 90_000),
        ("_WRAP", 2**33),
        ("MEDIA_PID", 0x100),
        ("PAT_PID", 0),
        ("PMT_PID", 0x1000),
        ("_PROGRAM", 1),
        ("PACKET", 188),
        ("ROOM", 184),
        ("WRAP", 2**33),
        ("_POLYNOMIAL", 0x04C11DB7),
        ("_START", 0x4000),
        ("_SLICES", frozenset({1, 2, 5})),
        ("_HIGH", frozenset({100, 110, 122, 144})),
        (
            "_RATES",
            (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
        ),
        ("_TOLERANCE", 90),
        ("_PES", 210),
        ("_SEGMENT", 3_452),
        ("MOST_AT_ONCE", 2),
        ("MOST_AT_ONCE", 2),  # of WebVTT
        ("_MOST_CODECS", 1_024),
        ("_MOST_UNFIT", 4_096),
        ("LARGEST", 65_536),
        ("LARGEST_INIT", 2**20),
        ("LARGEST_MOOF", 2**22),
        ("QUIET_S", 600.0),
        ("MOST_SOURCES", 1_000),
        ("MOST_LINES", 20),
        ("MOST_FRAGMENTS", 16_384),
        ("MOST_COMPLAINTS", 64),
        ("PATIENCE", 3),
        ("LATEST", 4_102_444_800.0),
        ("MOST_NUMBER", 10**9),
        ("LONGEST_ID", 64),
        ("LARGEST_TAG", 4_096),
        ("MOST_ASSETS", 64),
        ("LONGEST_URI", 2_048),
        ("_VERSION_OF_DATES", 10),
        ("_TIMESCALE", 1_000),
        ("MOST_SPLICES", 64),
        ("SAME_S", 0.5),
        ("LARGEST_SECTION", 4_096),
        ("_OUTS", frozenset({0x22, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3A, 0x3C, 0x44, 0x46})),
        ("_CLOCK", 90_000),
        ("MOST_PENDING", 256),
        ("_MOST_LINES", 256),
        ("MOST", 100),
        ("MOST_BYTES", 65_536),
        ("REMEMBERED", 1_024),
        ("LARGEST_ORDER", 65_536),
        ("LARGEST_LIST", 2**21),
        ("LONGEST_PATH", 400),
        ("MOST_FOLDERS", 8),
        ("MOST_OPEN", 256),
        ("MOST_TEMPLATES", 256),
        ("EPOCH_S", 60.0),
        ("LARGEST_LEAD", 2**20),
        ("LARGEST_MPD", 2**18),
        ("MOST_DEPTH", 16),
        ("MOST_ELEMENTS", 4_096),
        ("MOST_HELD", 1_024),
        ("MOST_HOLES", 64),
        ("MOST_NAMES", 64),
        ("MOST_SENDERS", 8),
        ("PATIENCE", 3),
        ("REMEMBERED", 1_024),
        ("TICK_S", 0.5),
        ("MOST_AHEAD", 1),
        ("MOST_ARRIVALS", 4_096),
        ("_PARTS_BEHIND", 4),
        ("_MOST_BEHIND_S", 10.0),
        ("_MOST_AHEAD_S", 0.5),
        ("_NTP_EPOCH_S", 2_208_988_800),
        ("MOST_SILENT_S", 8.0),
        ("MOST_SEGMENTS_AHEAD", 2),
        ("MOST_WAITING", 20_000),
        ("SHORTEST", Fraction(17, 20)),
        ("CLOSEST", Fraction(1, 4)),
        ("STALLED_LIFETIME", 1.0),
        ("VERSION", 9),
        ("_ROUNDING", Fraction(1, 500)),
        ("MOST_TRASH", 1_000),
        ("SWEEP_S", 5.0),
        ("WAIT_S", 5.0),
        ("IRREGULAR", Fraction(1, 4)),
        ("TOUCH_US", 50_000),
        ("MOST_SAMPLES", 262_144),
        ("NON_SYNC", 65_536),
        ("SPEND_S", 1.0),
        ("SWEEP_S", 5.0),
        ("JUMP", Fraction(1, 20)),
        ("LATE", Fraction(3, 2)),
        ("_REORDERED", Fraction(1, 2)),
        ("LATEST", 1),
        ("_OBJECT_TYPES", (0x66, 0x67, 0x68, 0x69, 0x6B)),
        ("_OFF_GRID", Fraction(1, 4)),
        ("WAIT_S", 10),
        ("REMEMBERED", 4_096),
        ("_LONGEST_S", 60),
        ("_WITH_CHROMA", frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})),
        ("_UNSPECIFIED", 2),
        ("_LONGEST", 32),
        ("_CREDIBLE_BPS", 1_000_000_000),
        ("_PAIRS", (0, 1, 4, 5, 6)),
        ("ROOM", 2**24),
        ("SMALLEST", 256),
        ("LARGEST", 2**21),
        ("_AT_ONCE", 65_536),
        ("_ENTRY", 256),
        ("LEVEL", 6),
        ("PLAYLIST", 1),
        ("ALTERNATIVE", 2),
        ("_VIDEO", ((230_400, 3), (921_600, 4), (2_073_600, 5))),
        ("_LARGEST_VIDEO", 6),
        ("_LONGEST_TEXT_S", 60),
        ("_LARGEST_TEXT", 2**20),
        ("_LONGEST_LABEL", 64),
    ],
    "transcode": [
        ("_PR_SET_PDEATHSIG", 1),
        ("START", 10),
        ("AUDIO_FRAGMENT_US", 85_000),
        ("TICKS_PER_FRAME", 1_000),
        ("VBV_SECONDS", 2),
        ("OLDEST", 6),
        ("_LIBAVUTIL_OF_OLDEST", 58),
        ("LOOK_AGAIN", 0.25),
        ("PIECE_BYTES", 65_536),
        ("UNEQUAL_S", 0.5),
        ("VERSION", 7),
        ("MOST_SEGMENTS", 65_535),
        ("LARGEST_SEGMENT", 2_147_483_647),
        ("COPIED_BYTES", 2**20),
        ("_STARTS_WITH_SAP_1", 0x90000000),
    ],
    "loadtests": [
        ("_STOP_SECONDS", 5.0),
        ("MOST_UNANSWERED", 0.01),
        ("MOST_REBUFFERING", 0.2),
        ("_RETRIES", 6),
        ("_RETRY_FIRST", 1.0),
        ("_RETRY_MOST", 8.0),
        ("_DRY", 1e-06),
        ("_NOTICED", 0.1),
        ("_MIX_STEP", 0.6180339887498949),
        ("_ARRIVAL_STEP", 0.4142135623730951),
        ("GENERATOR_BOUND", 0.8),
        ("_READ_BYTES", 65_536),
        ("cache of _read", 256),
    ],
    "cdnlab": [
        ("_NTP_EPOCH_S", 2_208_988_800),
        ("_TOLD", frozenset({0, 24})),
        ("LARGEST", 64 * 2**20),
        ("_PIECE", 65_536),
        ("PAUSE_S", 0.1),
        ("MOST_PARTS", 128),
        ("MOST_MISSES", 5),
        ("IN_MEMORY_BYTES", 64 * 2**20),
        ("DATABASE_BYTES", 300_000_000),
        ("MARGIN_S", 2.0),
        ("LARGEST_BODY", 16 * 2**20),
        ("MOST_KEYS", 256),
        ("LONGEST_KEY", 1_024),
        ("LARGEST_BODY", 2**20),
        ("PAGE", 100),
        ("DEEPEST", 50),
        ("SKEW_S", 300.0),
        ("RESOLVED_WITHIN_S", 5.0),
        ("FAILED", 1),
        ("USAGE", 2),
        ("UNFINISHED", 3),
        ("INTERRUPTED", 130),
        ("LAST_GRACE", 0.7),
        ("EVERY", 1.0),
        ("LEAST_BYTES", 65_536),
        ("TRIED_BYTES", 2**20),
        ("LATE", 2.0),
        ("MOST_PENDING", 64),
        ("REFUSALS", frozenset({401, 403, 421, 451})),
        ("EVERY", 5.0),
        ("MOST_BYTES", 32 * 2**20),
        ("_MOST_BINS", 600),
        ("MOST_REFUSALS", 10),
        ("PLAYABLE_WITHIN", 60.0),
        ("_LONGER", 3_600),
        ("ADMIN_S", 70.0),
        ("HEALTH_S", 2.0),
        ("SHOWN", 10),
    ],
}

ARITHMETIC: dict[type[ast.operator], Callable[..., int]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


class NoNumber(Exception):
    """What is written is no number, and nothing made of numbers alone."""


def number(node: ast.expr) -> Number:
    match node:
        case ast.Constant(int(value) | float(value)) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value) | float(value))):
            return -value
        case ast.BinOp(left, sign, right) if type(sign) in ARITHMETIC:
            return ARITHMETIC[type(sign)](number(left), number(right))
        case ast.Tuple(parts) if parts:
            return tuple(map(number, parts))
        case ast.Set(parts) | ast.Call(ast.Name("frozenset"), [ast.Set(parts)]):
            return frozenset(map(number, parts))
        case ast.Call(ast.Name("Fraction"), [ast.Constant(int(above)), ast.Constant(int(below))]):
            return Fraction(above, below)
    raise NoNumber


def numbers(tree: ast.Module) -> Iterator[tuple[str, Number]]:
    """(name, value) of a file's constants, and of what its caches remember at most, by the name of what is cached."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, ast.expr() as value) if (
                name.strip("_").isupper()
            ):
                with suppress(NoNumber):
                    yield name, number(value)
            case ast.FunctionDef(name, decorator_list=[ast.Call() as cached, *_]):
                yield from ((f"cache of {name}", most) for most in cache_size(cached))
            case ast.Assign([target], value):
                for call in ast.walk(value):
                    yield from ((f"cache of {ast.unparse(target)}", most) for most in cache_size(call))


def cache_size(node: ast.AST) -> Iterator[Number]:
    match node:
        case ast.Call(keywords=[ast.keyword("maxsize", ast.Constant(int(most)))]):
            yield most


@pytest.mark.parametrize("package", NUMBERS)
def test_every_number_with_a_name_is_the_documented_one(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    found = Counter(row for file in files for row in numbers(ast.parse(file.read_bytes())))
    known = Counter(NUMBERS[package])
    assert (found - known, known - found) == (Counter(), Counter()), (
        "found and not in the table; in the table and not found"
    )


WRITTEN: list[tuple[str, list[tuple[str, Number]]]] = [  # given a line   then
    ("MOST = 16", [("MOST", 16)]),
    ("MOST: int = 4 * 2**20", [("MOST", 4 * 2**20)]),
    ("_UNREAD = -1", [("_UNREAD", -1)]),
    ("SHARE = Fraction(1, 4)", [("SHARE", Fraction(1, 4))]),
    ("RATE = (1000, 33.0)", [("RATE", (1000, 33.0))]),
    ("ILL = frozenset({502, 503})", [("ILL", frozenset({502, 503}))]),
    ("@lru_cache(maxsize=8)\ndef f(): ...", [("cache of f", 8)]),
    ("g = lru_cache(maxsize=8)(f)", [("cache of g", 8)]),
    ("OPEN = True\nNAME = 'a'\nTWICE = MOST * 2\nsmall = 3", []),
]


@pytest.mark.parametrize(("line", "then"), WRITTEN)
def test_what_is_read_of_a_file(line: str, then: list[tuple[str, Number]]) -> None:
    assert list(numbers(ast.parse(line))) == then
