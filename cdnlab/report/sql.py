"""The report's arithmetic, in DuckDB's SQL: one query for each table of the report.

`records` is every line of records/*.jsonl; `asked` the request lines, `fetched` the fetch lines, `purged_lines` the
purge lines. `node` is what a row of the report is about: a node, or one of its services ("fra+images"), which has a
cache and records of its own; `box` is the node alone. The same SQL reads a bucket of such lines on other engines, after
their own way to read JSON lines.
"""

from types import NoneType
from typing import Any, get_args

import msgspec

from cdnkit.policy.record.lines import Record
from cdnkit.policy.record.object_class import ObjectClass

_READ = (
    "node", "seq", "at", "method", "url", "status", "outcome", "cause", "behavior", "object_class", "rendition",
    "bytes_sent", "ttfb_ms", "duration_ms", "country", "reason", "fetch", "from_node", "aborted", "session", "block",
    "purpose", "sent_at", "landed_at", "ended_at", "size_bytes", "failure", "what", "value", "soft", "purged", "lines",
    "part",
)  # fmt: skip
"""The fields that the report reads. Others in a line are ignored."""

_TYPES = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
"""Type of a field -> type of its column. `bool` comes before `int`, its base; enums are of `str`."""


def _column(kind: Any) -> str:
    """The type of the column for a field of this type, or of this type and None."""
    (kind,) = [one for one in get_args(kind) or (kind,) if one is not NoneType]
    return next(column for known, column in _TYPES.items() if issubclass(kind, known))


def _columns() -> dict[str, str]:
    fields = {field.name: field.type for record in get_args(Record) for field in msgspec.structs.fields(record)}
    return {"kind": "VARCHAR"} | {name: _column(fields[name]) for name in _READ}


COLUMNS = _columns()
"""Name -> type in DuckDB, from the schema of the records."""

# A line that is not JSON, or has a value of the wrong type, becomes nulls; `UNREADABLE` counts those. A file is named
# NODE[+SERVICE][.LIFE][.part-PART].jsonl.
LOAD = f"""
CREATE TABLE records AS
SELECT
    * EXCLUDE (node, place),
    CASE WHEN starts_with(place, node || '+') THEN place ELSE node END AS node,
    node AS box
FROM (
    SELECT
        * EXCLUDE (filename),
        parse_filename(filename) AS file,
        split_part(parse_filename(filename), '.', 1) AS place,
        regexp_replace(parse_filename(filename), '([.]part-[0-9]+)?[.]jsonl$', '') AS life
    FROM read_json(
        $files, format = 'newline_delimited', ignore_errors = true, filename = true,
        columns = {{{", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())}}}
    )
)
"""

# A line with an instant, time, size or status outside these is damaged or invented.
_INSTANT = "BETWEEN 0 AND 1e11"
_TIME_MS = "BETWEEN -1e12 AND 1e12"
_SIZE = "BETWEEN 0 AND 1e12"
_STATUS = "BETWEEN 0 AND 999"

VIEWS = f"""
CREATE VIEW asked_all AS
SELECT
    *,
    outcome IN ('hit', 'hit-stale', 'collapsed') AS is_hit,
    outcome NOT IN ('pass', 'refused')           AS is_cacheable,
    coalesce(from_node, '') = ''                 AS by_viewer
FROM records
WHERE kind = 'request'
    AND node IS NOT NULL AND "at" {_INSTANT} AND status {_STATUS} AND outcome IS NOT NULL
    AND object_class IS NOT NULL AND bytes_sent {_SIZE} AND ttfb_ms {_TIME_MS}
    AND coalesce(duration_ms, 0) {_TIME_MS};

-- The requests that a node makes for the blocks of a slice come from no client.
CREATE VIEW asked AS SELECT * FROM asked_all WHERE block IS NULL;

CREATE VIEW fetched AS
SELECT *, coalesce(failure, '') <> '' AS has_failed FROM records
WHERE kind = 'fetch' AND node IS NOT NULL AND url IS NOT NULL AND sent_at {_INSTANT} AND purpose IS NOT NULL
    AND coalesce(size_bytes, 0) {_SIZE};

CREATE VIEW purged_lines AS
SELECT * FROM records WHERE kind = 'purge' AND node IS NOT NULL AND "at" {_INSTANT};

CREATE VIEW readable AS
SELECT file FROM asked_all UNION ALL SELECT file FROM fetched UNION ALL SELECT file FROM purged_lines
UNION ALL SELECT file FROM records WHERE kind IN ('lost', 'part');
"""

UNREADABLE = """
SELECT file, count(*) - (SELECT count(*) FROM readable a WHERE a.file = r.file) AS lines
FROM records r GROUP BY file HAVING lines > 0 ORDER BY file
"""

# Records that a life of a node lacks: older ones that were removed for room (the first part says how many; the very
# first file has no such line), and those that could not be written.
MISSING = """
SELECT
    life,
    CASE WHEN bool_or(file = life || '.jsonl') THEN 0 ELSE coalesce(min(lines) FILTER (kind = 'part'), 0) END AS older,
    coalesce(sum(lines) FILTER (kind = 'lost'), 0)::BIGINT AS lost,
    (SELECT min("at") FROM asked a WHERE a.life = r.life) AS began
FROM records r GROUP BY life HAVING older > 0 OR lost > 0 ORDER BY life
"""

# The columns of every hit-rate table. Rates are null where nothing was cacheable: 0 % would be a lie.
_RATES = """
    count(*)                                                    AS requests,
    count(*) FILTER (is_cacheable)                              AS cacheable,
    count(*) FILTER (is_hit)                                    AS hits,
    count(*) FILTER (outcome = 'revalidated')                   AS revalidated,
    count(*) FILTER (outcome = 'miss')                          AS misses,
    count(*) FILTER (outcome = 'failed')                        AS failed,
    count(*) FILTER (outcome = 'pass')                          AS passed,
    count(*) FILTER (outcome = 'refused')                       AS refused,
    hits / nullif(cacheable, 0)                                 AS hit_rate,
    coalesce(sum(bytes_sent), 0)::BIGINT                        AS bytes,
    coalesce(sum(bytes_sent) FILTER (is_cacheable), 0)::BIGINT  AS bytes_cacheable,
    coalesce(sum(bytes_sent) FILTER (is_hit), 0)::BIGINT        AS bytes_hit,
    bytes_hit / nullif(bytes_cacheable, 0)                      AS byte_hit_rate
"""

_CLASS_ORDER = f"list_position({[one.value for one in ObjectClass]}, object_class)"

TOTAL = f"SELECT {_RATES} FROM asked WHERE by_viewer"

BY_NODE = f"""
SELECT
    node,
    -- A node that is the parent of another is a shield, even if viewers use it too.
    CASE WHEN list_contains($shields, any_value(box)) OR bool_or(NOT by_viewer) THEN 'shield' ELSE 'edge' END AS role,
    {_RATES}
FROM asked GROUP BY node ORDER BY role, node
"""

BY_CLASS = f"""
SELECT object_class, {_RATES} FROM asked WHERE by_viewer GROUP BY object_class ORDER BY {_CLASS_ORDER}
"""

BY_NODE_CLASS = f"""
SELECT node, object_class, {_RATES} FROM asked GROUP BY node, object_class ORDER BY node, {_CLASS_ORDER}
"""

BY_RENDITION = f"""
SELECT rendition, {_RATES} FROM asked WHERE by_viewer AND coalesce(rendition, '') <> ''
GROUP BY rendition ORDER BY bytes DESC, rendition
"""

BY_STATUS = """
SELECT node, status, count(*) AS requests, sum(bytes_sent)::BIGINT AS bytes
FROM asked GROUP BY node, status ORDER BY node, status
"""

OUTCOMES = f"""
SELECT object_class, outcome, count(*) AS requests, sum(bytes_sent)::BIGINT AS bytes
FROM asked WHERE by_viewer GROUP BY object_class, outcome ORDER BY {_CLASS_ORDER}, outcome
"""

CAUSES = f"""
SELECT node, object_class, outcome, cause, count(*) AS requests
FROM asked WHERE outcome IN ('miss', 'revalidated', 'pass')
GROUP BY node, object_class, outcome, cause ORDER BY node, {_CLASS_ORDER}, outcome, cause
"""

CAUSELESS = """
SELECT node, outcome, count(*) AS requests, count(cause) AS with_cause,
       first(url ORDER BY "at") FILTER (cause IS NULL) AS example
FROM asked WHERE outcome IN ('miss', 'revalidated', 'pass')
GROUP BY node, outcome HAVING with_cause < requests ORDER BY node, outcome
"""

# A node that fetches from another node appears in that node's records as `from_node`; a node that appears nowhere
# fetches from the origin. Used where cluster.json does not name the parents.
PARENTLESS = """
SELECT DISTINCT box FROM records
WHERE box IS NOT NULL AND box NOT IN (SELECT DISTINCT from_node FROM asked WHERE from_node IS NOT NULL)
ORDER BY box
"""

OFFLOAD = """
WITH
edge AS (
    SELECT count(*) AS requests, coalesce(sum(bytes_sent), 0)::BIGINT AS bytes FROM asked WHERE by_viewer
),
origin AS (
    SELECT count(*) AS requests, coalesce(sum(size_bytes), 0)::BIGINT AS bytes
    FROM fetched WHERE list_contains($facing_origin, box) AND purpose <> 'shared'
),
tiers AS (
    SELECT count(*) AS requests, coalesce(sum(bytes_sent), 0)::BIGINT AS bytes FROM asked WHERE NOT by_viewer
)
SELECT
    edge.requests AS edge_requests, edge.bytes AS edge_bytes,
    tiers.requests AS shield_requests, tiers.bytes AS shield_bytes,
    origin.requests AS origin_requests, origin.bytes AS origin_bytes,
    1 - origin.requests / nullif(edge.requests, 0) AS request_offload,
    1 - origin.bytes / nullif(edge.bytes, 0) AS byte_offload
FROM edge, origin, tiers
"""

FETCHES = """
SELECT node, list_contains($facing_origin, box) AS to_origin, purpose, count(*) AS fetches,
       count(*) FILTER (has_failed) AS failed, coalesce(sum(size_bytes), 0)::BIGINT AS bytes
FROM fetched WHERE purpose <> 'shared' GROUP BY ALL ORDER BY to_origin DESC, node, purpose
"""

# Init sections and segments must be fetched once: their names are never used again for other bytes.
REPEATED = """
WITH objects AS (
    -- Fetch ids are unique within one life of a node, or of one of its services.
    SELECT f.node, f.url, count(DISTINCT (f.life, f.fetch)) AS fetches
    FROM fetched f JOIN asked a ON a.life = f.life AND a.fetch = f.fetch
    WHERE f.purpose = 'miss' AND list_contains($facing_origin, f.box) AND a.object_class IN ('init', 'segment')
    GROUP BY f.node, f.url
)
SELECT node, count(*) AS objects, sum(fetches)::BIGINT AS fetches, max(fetches) AS most,
       count(*) FILTER (fetches > 1) AS repeated
FROM objects GROUP BY node ORDER BY node
"""

TTFB = """
SELECT node, outcome, count(*) AS requests,
       quantile_cont(ttfb_ms, 0.5) AS p50, quantile_cont(ttfb_ms, 0.9) AS p90, quantile_cont(ttfb_ms, 0.99) AS p99
FROM asked WHERE status > 0 GROUP BY node, outcome ORDER BY node, outcome
"""

# Ten buckets a decade: bucket b holds 10^(b/10) ms up to 10^((b+1)/10) ms; anything faster than 10 us is in -20.
TTFB_HISTOGRAM = """
SELECT outcome, floor(10 * log10(greatest(ttfb_ms, 0.01)) + 1e-9)::INTEGER AS bucket, count(*) AS requests
FROM asked WHERE by_viewer AND status > 0 GROUP BY ALL ORDER BY outcome, bucket
"""

WINDOW = 'SELECT min("at") AS began, max("at" + coalesce(duration_ms, 0) / 1000) AS ended FROM asked'

TIMELINE = """
SELECT floor(("at" - $began) / $bin)::INTEGER * $bin AS second, node, outcome, bool_or(by_viewer) AS by_viewer,
       count(*) AS requests, count(*) FILTER (is_hit) AS hits, count(*) FILTER (is_cacheable) AS cacheable
FROM asked GROUP BY ALL ORDER BY second, node, outcome
"""

REFUSALS = """
SELECT node, status, coalesce(reason, '') AS reason, coalesce(country, '') AS country, count(*) AS requests
FROM asked WHERE outcome = 'refused' GROUP BY ALL ORDER BY requests DESC, node, status, reason, country
"""

FAILURES = """
SELECT node, status, coalesce(reason, '') AS reason, count(*) AS requests
FROM asked WHERE outcome = 'failed' GROUP BY ALL ORDER BY requests DESC, node, status, reason
"""

# No cache can avoid a node's first miss of a URL, so only URLs that missed again at a node count.
TOP_MISSES = """
WITH counted AS (
    SELECT url, node, cause, count(*) AS n FROM asked WHERE outcome = 'miss' GROUP BY ALL
),
ranked AS (
    SELECT regexp_replace(url, '^https?://[^/]*', '') AS path, node, cause, sum(n)::BIGINT AS n
    FROM counted GROUP BY ALL
)
SELECT path, sum(n)::BIGINT AS misses,
       (SELECT string_agg(node, ', ' ORDER BY node) FROM (SELECT DISTINCT node FROM ranked b WHERE b.path = a.path))
           AS nodes,
       (SELECT string_agg(cause || ' ' || n, ', ' ORDER BY n DESC, cause)
        FROM (SELECT cause, sum(n)::BIGINT AS n FROM ranked b WHERE b.path = a.path GROUP BY cause)) AS causes
FROM ranked a GROUP BY path HAVING misses > count(DISTINCT node) ORDER BY misses DESC, path LIMIT 15
"""

PURGES = """
SELECT "at", node, what, coalesce(value, '') AS value, coalesce(soft, false) AS soft,
       coalesce(purged, 0) AS purged
FROM purged_lines ORDER BY "at", node LIMIT 200
"""
