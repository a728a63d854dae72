"""Request fields compared as their own definitions allow: what Vary may call equal (RFC 9111 §4.1, RFC 9110 §12.5).

Members of `Accept-Language`, `Accept-Encoding` and `Accept` are a set of preferences: their order counts only where
weights differ, which the weights themselves say; language tags and codings have no case.
"""

from cdnkit.policy.http.memo import memoized

_PREFERENCES = frozenset({"accept-language", "accept-encoding", "accept-charset", "accept"})


def normalised(name: str, value: str | None) -> str | None:
    """A field value as Vary compares it; in unknown fields only white space around list commas is ignored."""
    if value is None:
        return None
    if name in _PREFERENCES:
        return _preferences(value)
    return ",".join(part.strip() for part in value.split(",")) if "," in value else value.strip()


@memoized(4096)
def _preferences(value: str) -> str:
    members = sorted(weighted(value), key=lambda member: (-member[1], member[0]))
    return ",".join(f"{what};q={weight:g}" for what, weight in members)


@memoized(4096)
def weighted(value: str) -> tuple[tuple[str, float], ...]:
    """(member in lower case, weight) of a list of preferences, in the order given; an unreadable weight counts as 1."""
    found = []
    for member in value.split(","):
        what, *parameters = (part.strip() for part in member.lower().split(";"))
        weight = 1.0
        kept = [what]
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    weight = 1.0
            elif parameter:
                kept.append(parameter)
        if what:
            found.append((";".join(kept), weight))
    return tuple(found)


def preferred_language(value: str | None) -> str | None:
    """The language tag a request wants most; None when it names none, or two with equal weight."""
    members = sorted(weighted(value or ""), key=lambda member: -member[1])
    if not members or members[0][0] == "*" or (len(members) > 1 and members[1][1] == members[0][1]):
        return None
    return members[0][0]
