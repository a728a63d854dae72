"""How much of Surrogate-Key counts: Fastly, "Surrogate-Key" and "Constraints": 1 KB a key, 16 KB all of them, on the
limits and a byte beyond. "The key at which a limit is met, and all behind it, are ignored.\""""

import pytest

from cdnkit.policy.plan import PurgeKind, PurgeOrder
from cdnkit.policy.rules.profile import RFC9111, Profile
from cdnkit.vendors import CLOUDFRONT, FASTLY
from tests.kit.machine import NOW, filled, node
from tests.kit.machine import dated as says

LONG = "k" * 1024
FIFTEEN = " ".join(f"{n:02}" + "x" * 1021 for n in range(15))  # 15 keys of 1,023 bytes: 15 KiB, less the last space
LEFT = 16 * 1024 - len(FIFTEEN) - 1
"""Bytes that are left behind another space."""

KEYS: list[tuple[Profile, list[str], dict[str, bool]]] = [  # lines of Surrogate-Key, keys, and whether a purge finds it
    (FASTLY, ["a b"], {"a": True, "b": True, "c": False}),
    (FASTLY, ["a", "b"], {"a": True, "b": True}),
    (FASTLY, [f"a {LONG} b"], {"a": True, LONG: True, "b": True}),
    (FASTLY, [f"a {LONG}k b"], {"a": True, f"{LONG}k": False, "b": False}),
    (FASTLY, [f"{FIFTEEN} {'y' * LEFT}"], {f"{14:02}" + "x" * 1021: True, "y" * LEFT: True}),
    (FASTLY, [f"{FIFTEEN} {'y' * LEFT}y"], {f"{14:02}" + "x" * 1021: True, f"{'y' * LEFT}y": False, "y" * LEFT: False}),
    (FASTLY, [f"{FIFTEEN} {'y' * LEFT} z"], {"y" * LEFT: True, "z": False}),
    (
        FASTLY,
        [f"{FIFTEEN} {'x' * 512} {'y' * (LEFT - 512)} z"],
        {"x" * 512: True, "y" * (LEFT - 512): False},
    ),  # by a byte
    (FASTLY, [FIFTEEN, "y" * LEFT, "z"], {"y" * LEFT: True, "z": False}),  # all lines together
    (RFC9111, [f"{FIFTEEN} {LONG}k z"], {f"{LONG}k": True, "z": True}),  # no limit of ours
    (CLOUDFRONT, [f"{FIFTEEN} {LONG}k z"], {"z": True}),
    (RFC9111, ["a é b"], {"a": True, "é": False, "b": True}),
]


@pytest.mark.parametrize(("profile", "lines", "keys"), KEYS)
def test_how_much_of_surrogate_key_counts(profile: Profile, lines: list[str], keys: dict[str, bool]) -> None:
    for key, found in keys.items():
        edge = node(profile)
        fields = [("cache-control", "max-age=60"), *(("surrogate-key", line) for line in lines)]
        filled(edge, says(200, *fields))
        assert edge.on_purge(PurgeOrder(PurgeKind.SURROGATE_KEYS, key), NOW).count == found, key[:20]
