"""Failed attempts in the log: once a source in a while, and so many of all sources."""

from origin.ingest.failed_attempts import MOST_LINES, MOST_SOURCES, QUIET_S, FailedAttempts

NOW = 1_800_000_000.0


def test_a_source_gets_one_line_in_a_while_that_counts_the_rest() -> None:
    attempts = FailedAttempts()
    said = [attempts.on_attempt("192.0.2.1", 401, NOW + second) for second in range(0, 2 * int(QUIET_S), 10)]
    assert said[0] == "" and said[int(QUIET_S) // 10] == f" ({int(QUIET_S) // 10 - 1} more of this source before)"
    assert sum(one is not None for one in said) == 2


def test_another_status_is_another_matter() -> None:
    attempts = FailedAttempts()
    assert [attempts.on_attempt("192.0.2.1", status, NOW) for status in (401, 403, 401, 404)] == ["", "", None, ""]


def test_many_sources_get_so_many_lines_a_minute_and_none_is_forgotten_in_the_count() -> None:
    attempts = FailedAttempts()
    said = [attempts.on_attempt(f"10.0.{n >> 8}.{n & 255}", 401, NOW) for n in range(MOST_LINES + 5)]
    assert [one is not None for one in said] == [True] * MOST_LINES + [False] * 5
    assert attempts.on_attempt("192.0.2.1", 401, NOW + 59.9) is None
    assert attempts.on_attempt("192.0.2.1", 401, NOW + 60.0) == " (6 of other sources not logged)"
    assert attempts.on_attempt("192.0.2.2", 401, NOW + 60.0) == ""


def test_so_many_sources_are_remembered() -> None:
    attempts = FailedAttempts()
    for number in range(2 * MOST_SOURCES):
        attempts.on_attempt(f"10.0.{number >> 8}.{number & 255}", 401, NOW + 60 * number)
    assert len(attempts._sources) == MOST_SOURCES
    assert len(attempts._lines) <= MOST_LINES
