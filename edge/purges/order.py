"""A purge order as JSON: in a node's `POST /purge`, and in the purge log."""

from typing import Any

from cdnkit.policy.http.messages import split_url
from cdnkit.policy.http.target import names_host
from cdnkit.policy.machine.purge_log import Order
from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.policy.store.index import is_surrogate_key

KINDS = {
    "url": PurgeKind.URL,
    "prefix": PurgeKind.PREFIX,
    "surrogate_key": PurgeKind.SURROGATE_KEYS,  # one
    "surrogate_keys": PurgeKind.SURROGATE_KEYS,
    "everything": PurgeKind.EVERYTHING,
}
"""Member of the JSON object -> what it names."""


class BadOrder(ValueError):
    """An order that cannot be understood."""


def purge_order(values: Any) -> PurgeOrder:
    """`{"url": ...}`, `{"prefix": ...}`, `{"surrogate_key": ...}`, `{"surrogate_keys": [...]}` or
    `{"everything": true}`, with `"soft": bool`, and `"service": NAME` where only one is meant.

    BadOrder says what is wrong.
    """
    if not isinstance(values, dict):
        raise BadOrder(f"found {type(values).__name__}, wanted a JSON object")
    unknown = set(values) - {*KINDS, "soft", "service"}
    if unknown:
        found = ", ".join(sorted(unknown))[:80].encode("unicode_escape").decode()
        raise BadOrder(f"found {found}; wanted {', '.join(KINDS)}, soft and service")
    soft, service = values.get("soft", False), values.get("service", "")
    named = [name for name in KINDS if values.get(name)]
    if not isinstance(soft, bool) or len(named) != 1:
        raise BadOrder(
            'wanted exactly one of {"url": "..."}, {"prefix": "..."}, {"surrogate_key": "..."}, '
            '{"surrogate_keys": ["...", "..."]}, {"everything": true}'
        )
    if not isinstance(service, str):
        raise BadOrder(f"service: found {service!r}, wanted a name")
    value = values[named[0]]
    if named[0] == "everything":
        if value is not True:
            raise BadOrder('wanted {"everything": true}')
        return PurgeOrder(PurgeKind.EVERYTHING, soft=soft, service=service)
    if named[0] == "surrogate_keys":
        return PurgeOrder(PurgeKind.SURROGATE_KEYS, " ".join(_keys(value)), soft, service)
    if not isinstance(value, str):
        raise BadOrder(f"{named[0]}: found {value!r}, wanted text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadOrder(f"{named[0]}: found {value!a}, wanted text without half a surrogate pair")
    if named[0] == "surrogate_key" and not is_surrogate_key(value):
        raise BadOrder(f"surrogate_key: found {value!r}, wanted a key of visible ASCII characters")
    if named[0] in ("url", "prefix") and not names_target(value):
        what = "a URL or a path" if named[0] == "url" else "the beginning of a URL or of a path"
        raise BadOrder(f'{named[0]}: found {value!r}, wanted {what}, such as "/live/" or "http://127.0.0.1:8081/live/"')
    return PurgeOrder(KINDS[named[0]], value, soft, service)


def order_as_json(order: PurgeOrder) -> Order:
    """The reverse of `purge_order`."""
    match order.kind:
        case PurgeKind.EVERYTHING:
            named: Order = {"everything": True}
        case PurgeKind.SURROGATE_KEYS:
            keys = order.value.split()
            named = {"surrogate_key": keys[0]} if len(keys) == 1 else {"surrogate_keys": keys}
        case PurgeKind.URL:
            named = {"url": order.value}
        case PurgeKind.PREFIX:
            named = {"prefix": order.value}
    made = named | {"soft": order.soft}
    return made | {"service": order.service} if order.service else made


def names_target(value: str) -> bool:
    """Whether it is a path, or a URL with a host that can be one."""
    scheme, host, _ = split_url(value)
    return value.startswith("/") or (scheme.lower() in ("http", "https") and host != "" and names_host(host))


def _keys(value: Any) -> list[str]:
    """Each key once. One that cannot be a key is an error: without it the order would name less than was meant."""
    if not isinstance(value, list):
        raise BadOrder(f'surrogate_keys: found {value!r}, wanted a list such as ["live", "vod"]')
    for key in value:
        if not isinstance(key, str) or not is_surrogate_key(key):
            raise BadOrder(f"surrogate_keys: found {key!r}, wanted a key of visible ASCII characters")
    return list(dict.fromkeys(value))
