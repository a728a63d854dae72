"""What the origin of a script answers: the truth about it in its fields, which `judge.py` reads."""

from dataclasses import dataclass, field

from cdnkit.policy.http.dates import format_date
from tests.random.tiers.script import SIZE, Says, content, tag


@dataclass
class Answered:
    """A response; `body` is b"" where there is none to send."""

    status: int
    fields: dict[str, str]
    body: bytes
    rude: bool = False
    """It answers what was not asked."""

    @property
    def failed(self) -> bool:
        return self.status >= 500 or self.rude


_UNASKED = {206: {"range"}, 304: {"if-none-match"}, 416: set[str]()}
"""Status -> the fields of a question that it fits."""


@dataclass
class Contents:
    """What the origin has, and how it answers."""

    says: dict[str, Says] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=dict)
    served: int = 0

    def said(self, target: str) -> Says:
        return self.says.get(target, Says())

    def answer(self, method: str, target: str, fields: dict[str, str], now: float) -> Answered:
        """Conditions and ranges are heeded, unless it is rude; every answer has its Date."""
        says = self.said(target)
        language = fields.get("accept-language", "") if says.varies else ""
        version = self.version.setdefault(target, 1)
        self.served += 1
        own = {
            "date": format_date(int(now) - says.age), "cache-control": says.control, "surrogate-key": f"all {target}",
            "x-serial": str(self.served), "x-made": repr(now - says.age),
        }  # fmt: skip
        if says.age:
            own["age"] = str(says.age)
        if says.varies:
            own["vary"] = "Accept-Language"
        if says.status >= 400:
            body = b"no" if method == "GET" else b""
            return Answered(says.status, own | {"content-length": "2"}, body)
        etag = own["etag"] = tag(target, language, version)
        if method == "GET" and says.rude and _UNASKED[says.rude].isdisjoint(fields):
            own["content-range"] = f"bytes 0-1/{SIZE}"
            body = content(target, language, version)[:2] if says.rude == 206 else b""
            return Answered(says.rude, own | {"content-length": str(len(body))}, body, rude=True)
        if fields.get("if-none-match") == etag:
            return Answered(304, own, b"")
        body, status = content(target, language, version), 200
        wanted = fields.get("range") if method == "GET" and fields.get("if-range", etag) == etag else None
        if wanted is not None:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            stop = min(int(last) + 1 if last else SIZE, SIZE)
            body, status = body[int(first) : stop], 206
            own["content-range"] = f"bytes {first}-{stop - 1}/{SIZE}"
        if says.sized:
            own["content-length"] = str(len(body))
        return Answered(status, own, body if method == "GET" else b"")
