"""How many requests one client may make: a token bucket for each, in a bounded table.

A bucket holds `burst` tokens and gets `requests` of them back each `per`. A request takes one; if there is none, it is
refused. The table holds one instant for each bucket, when it will be full again: everything else follows from it (the
generic cell rate algorithm, ITU-T I.371). With a penalty, a client that was refused once is refused until the penalty
ends (Fastly's penalty box).

The table never grows beyond its bound: it forgets the clients whose last request is the oldest. So a flood from ever
new addresses makes it forget others, which then begin with a full bucket. In IPv6, a whole /64 counts as one client,
since a client with one of its addresses has them all.
"""

from collections import OrderedDict
from functools import lru_cache

from cdnkit.policy.gate.check import Check, Reads
from cdnkit.policy.http.messages import RequestHead
from cdnkit.policy.http.place import address_of
from cdnkit.policy.outcomes import Refusal, RefusalKind
from cdnkit.policy.rules.profile import FailureResponse
from cdnkit.policy.rules.rate_limit import RateLimit

REMEMBERED_CLIENTS = 65_536
"""About 10 MB; Fastly's penalty boxes hold 200,000."""


class Rates:
    """The buckets of one limit."""

    __slots__ = ("_full_at", "_interval", "_most", "_out_until", "_penalty", "_tolerance", "settings")

    def __init__(self, settings: RateLimit, most: int = REMEMBERED_CLIENTS) -> None:
        self.settings = settings
        self._interval = settings.per / settings.requests
        self._tolerance = ((settings.burst or settings.requests) - 1) * self._interval
        self._penalty = settings.penalty
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """Client -> when its bucket will be full again; the client with the latest request comes last."""
        self._out_until: OrderedDict[str, float] = OrderedDict()
        """Client -> when its penalty ends."""

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, client_ip: str, now: float) -> float:
        """Take a token: 0 if there is one, else the seconds until there is one."""
        client = client_of(client_ip)
        if self._penalty and now < (out_until := self._out_until.get(client, now)):
            self._out_until.move_to_end(client)
            return out_until - now
        full_at = self._full_at.get(client, now)
        wait = full_at - now - self._tolerance
        if wait > 0:
            self._full_at.move_to_end(client)
            if self._penalty:
                wait = self._penalty
                self._remember(self._out_until, client, now + wait)
            return wait
        self._remember(self._full_at, client, (full_at if full_at > now else now) + self._interval)
        return 0.0

    def left(self, client_ip: str, now: float) -> tuple[int, float]:
        """(requests that it could make now, seconds until it could make one); takes no token."""
        client = client_of(client_ip)
        out_until = self._out_until.get(client, now)
        if now < out_until:
            return 0, out_until - now
        room = self._tolerance + now - max(now, self._full_at.get(client, now))
        return (0, -room) if room < 0 else (int(room // self._interval) + 1, 0.0)

    def _remember(self, table: OrderedDict[str, float], client: str, instant: float) -> None:
        table[client] = instant
        table.move_to_end(client)
        if len(table) > self._most:
            table.popitem(last=False)


class RateCheck(Check):
    """A client that sends more requests than a limit allows."""

    __slots__ = ("_reason", "_too_many", "rates")
    name = "rate"
    kind = RefusalKind.RATE
    reads = Reads.COUNT

    def __init__(self, rates: Rates, too_many: FailureResponse) -> None:
        """`too_many`: the profile's response."""
        self.rates, self._too_many = rates, too_many
        self._reason = f"rate: more than {rates.settings.words}"

    def refusal(self, request: RequestHead, now: float) -> Refusal | None:
        """Each call counts as a request."""
        wait = self.rates.take(request.client_ip, now)
        return self._refused(wait) if wait else None

    def preview(self, request: RequestHead, now: float) -> Refusal | None:
        wait = self.rates.left(request.client_ip, now)[1]
        return self._refused(wait) if wait else None

    def _refused(self, wait: float) -> Refusal:
        response = self._too_many
        facts = {"wait": round(wait, 3)}
        # Retry-After belongs to a 429 (RFC 6585 section 4).
        retry_after = wait if response.status == 429 else None
        return Refusal(self.kind, response.status, self._reason, facts, response.words, retry_after=retry_after)


@lru_cache(maxsize=REMEMBERED_CLIENTS)
def _network(text: str) -> str:
    address = address_of(text)
    return text if address is None or address.version == 4 else f"{int(address) >> 64:x}::/64"


def client_of(client_ip: str) -> str:
    """The client of an address: the address itself, in IPv6 its /64."""
    return _network(client_ip) if ":" in client_ip else client_ip
