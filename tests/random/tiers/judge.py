"""What any viewer of any script is owed, from what he saw and what had happened. It knows no policy code.

Each answer carries the truth about itself to whoever gets it, in fields that a 304 brings anew to every tier: its Date is
the true time at which the origin spoke, to the second, and its `x-made` exactly; its ETag says of what, its Cache-Control and
Vary are as the origin said them.
Beside these stands `x-serial`, a number used once, for what is for one viewer alone.
"""

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import inf

from cdnkit.policy.plan import PurgeKind
from tests.random.tiers.script import SIZE, Ask, content, tag

GRANULARITY = 4.5
"""Seconds: Date and Age have whole ones, so the origin and each of three nodes may lose nearly one; half a one on wires."""
IN_TRANSIT = 2.0
"""Seconds that an answer may have been under way when its viewer came."""


@dataclass
class Seen:
    """One viewer and what he saw."""

    ask: Ask
    asked_at: float
    ordered: int = 0
    """How many purges had been ordered when he asked: at one instant, who was first is told by this alone."""
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    answers: int = 0
    """Heads he was sent."""
    at: float = 0.0
    """When the head came."""
    whole: bool = False
    gone: bool = False
    """He left, or his node died under him."""

    @property
    def over(self) -> bool:
        return self.gone or (self.answers > 0 and self.whole)

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {value}" for name, value in self.fields.items())
        return f"{self.ask} at {self.asked_at:.2f} saw {self.status} at {self.at:.2f} ({told})"


@dataclass
class Purged:
    """An order to all tiers. Nothing made before it began is fresh for those who come after it was done."""

    kind: PurgeKind
    value: str
    soft: bool
    began: float
    """When the node next to the origin carried it out."""
    done: float = inf
    """When the last node had; infinite where the order of nodes promises nothing."""

    def names(self, target: str) -> bool:
        match self.kind:
            case PurgeKind.URL:
                return target == self.value
            case PurgeKind.PREFIX:
                return target.startswith(self.value)
            case PurgeKind.SURROGATE_KEYS:
                return target in self.value.split()
        return True


@dataclass
class History:
    """What had happened, in true time."""

    faults: list[tuple[str, float, str]] = field(default_factory=list)
    """(target, when, "error" or "silent"): the origin said 5xx; somebody got no answer, or not all of it."""
    purges: list[Purged] = field(default_factory=list)
    serials: dict[str, Seen] = field(default_factory=dict)
    """Who was given what was for one viewer alone."""

    def failed(self, target: str, since: float) -> set[str]:
        return {how for where, when, how in self.faults if where == target and when >= since}

    def judge(self, seen: Seen) -> None:
        """AssertionError with the rule that was broken, once the answer's head is there."""
        assert seen.answers == 1, f"answered {seen.answers} times: {seen}"
        ask = seen.ask
        failed = self.failed(ask.target, seen.asked_at - IN_TRANSIT)
        if seen.status >= 500 and "x-serial" not in seen.fields:
            assert failed, f"an error of the node's own, and nothing had failed: {seen}"
            return
        made = parsedate_to_datetime(seen.fields["date"]).timestamp()
        said = directives(seen.fields["cache-control"])
        age = int(seen.fields.get("age", "0"))
        true_age = seen.at - made
        if seen.status >= 500:
            kept_for = lifetime_of(said, seen.status) + permission(said, failed)
            assert "error" in failed or true_age <= kept_for + GRANULARITY, f"an old error: {seen}"
            return
        if seen.status < 400:
            self._right_bytes(seen)
        if "x-made" in seen.fields:
            assert int(float(seen.fields["x-made"])) == made, f"fields of two answers of the origin: {seen}"
        assert age >= true_age - GRANULARITY, f"Age {age}, and it is {true_age:.2f} s old: {seen}"
        if ("no-store" in said or "private" in said) and seen.status != 304:
            other = self.serials.setdefault(seen.fields["x-serial"], seen)
            assert other is seen, f"{seen}\nwas given what was for one viewer alone: {other}"
        if "no-cache" in said:
            assert made >= int(seen.asked_at), f"given without asking the origin: {seen}"
        lifetime = lifetime_of(said, seen.status)
        stale_for = true_age - lifetime
        assert stale_for <= permission(said, failed) + GRANULARITY, f"stale for {stale_for:.2f} s: {seen}"
        for purge in self.purges[: seen.ordered]:
            if not purge.names(ask.target) or seen.asked_at < purge.done:
                continue
            if not purge.soft:
                # A 304 to a viewer has no such field: its Date says it to the second.
                assert float(seen.fields.get("x-made", made + 1)) >= purge.began, (
                    f"purged, done at {purge.done:.2f}, and given to one who came later: {seen}"
                )
            elif made + 1 <= purge.began:
                assert age >= lifetime, f"purged softly at {purge.began:.2f}, and passed for fresh: {seen}"

    def _right_bytes(self, seen: Seen) -> None:
        """The bytes, and the part of them, that were asked for: of this target, this variant, one version."""
        ask, fields = seen.ask, seen.fields
        target, language, mark = fields["etag"].strip('"').rsplit("-", 2)
        assert target == ask.target.strip("/"), f"another target's: {seen}"
        if "vary" in fields:
            assert language == ask.language, f"another's variant: {seen}"
        whole = content(ask.target, language, int(mark))
        if seen.status == 304:
            assert ask.known and fields["etag"] == tag(ask.target, language, ask.known), f"he has another: {seen}"
        if seen.status != 200 and seen.status != 206:
            return
        first, last = 0, SIZE - 1
        if seen.status == 206:
            assert ask.range is not None, f"a part, and nobody asked for one: {seen}"
            first, last = ask.range[0], min(ask.range[1], SIZE - 1)
            assert fields["content-range"] == f"bytes {first}-{last}/{SIZE}", f"another part: {seen}"
        wanted = b"" if ask.method == "HEAD" else whole[first : last + 1]
        if seen.whole:
            assert seen.body == wanted, f"other bytes: {seen.body!r} for {wanted!r}: {seen}"
        else:
            assert wanted.startswith(seen.body), f"other bytes, as far as they came: {seen.body!r}: {seen}"


def directives(control: str) -> dict[str, float]:
    """Name -> argument, 0 for none."""
    parts = (part.strip().partition("=") for part in control.split(","))
    return {name: float(argument or 0) for name, _, argument in parts}


def lifetime_of(said: dict[str, float], status: int) -> float:
    """Seconds (RFC 9111 §4.2.1); a 404 that names none is kept for one."""
    return said.get("s-maxage", said.get("max-age", 1.0 if status == 404 else 0.0))


def permission(said: dict[str, float], failed: set[str]) -> float:
    """For how long after its freshness it may be used (RFC 9111 §4.2.4, RFC 5861)."""
    if "must-revalidate" in said or "no-cache" in said:
        return 0.0
    windows = [0.0, said.get("stale-while-revalidate", 0.0)]
    if failed:
        windows.append(said.get("stale-if-error", 0.0))
    if "silent" in failed and "stale-if-error" not in said and "s-maxage" not in said:
        windows.append(inf)
    return max(windows)
