"""Each stage's share of one latency: from a picture's capture to its playing, instant by instant (pure).

captured ─ encoder ─► received ─ origin ─► had of the origin ─ shield, edge ─► had of the edge ─ player ─► played
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

ENCODER, PLAYER = "encoder", "player"


@dataclass(frozen=True, slots=True)
class Unit:
    """A segment, or a part of one: Unix seconds, all by this machine's clock but those of encoder and origin."""

    name: str
    captured: float
    """Of its first picture."""
    received: float | None
    """When the origin had all of it; None: it does not tell."""
    had: tuple[float, ...]
    """When each tier, the origin first, had given all of it to a client that waited for it."""
    played: float
    """Its first picture, by a player that keeps the distance that the playlist or manifest asks for."""
    told: bool = False
    """`captured` is what the encoder says (`prft`), and no program date-time."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One row: seconds."""

    name: str
    mean: float
    least: float
    most: float


def shares(unit: Unit, tiers: Sequence[str]) -> list[float]:
    """Seconds of the encoder, of each tier, and of the player. Together they are the whole latency.

    What a tier had earlier than the one before it, by the chance of threads, it had at the same time.
    """
    instants = [unit.captured, *(() if unit.received is None else (unit.received,))]
    for had in unit.had:
        instants.append(max(had, instants[-1]))
    instants.append(unit.played)
    found = [after - before for before, after in pairwise(instants)]
    assert len(found) == len(names(unit, tiers))
    return found


def names(unit: Unit, tiers: Sequence[str]) -> list[str]:
    """Of the stages. Where the origin does not tell when it received media, its share is in the encoder's."""
    if unit.received is None:
        return [f"{ENCODER}, {tiers[0]}", *tiers[1:], PLAYER]
    return [ENCODER, *tiers, PLAYER]


def stages(units: Sequence[Unit], tiers: Sequence[str]) -> tuple[list[Stage], Stage]:
    """The rows, and the whole: means add up. `units`: at least one; those that tell more are alike in that."""
    told = any(unit.received is not None for unit in units)
    alike = [unit for unit in units if (unit.received is not None) is told]
    columns = list(zip(*(shares(unit, tiers) for unit in alike), strict=True))
    rows = [_row(name, column) for name, column in zip(names(alike[0], tiers), columns, strict=True)]
    return rows, _row("end to end", [unit.played - unit.captured for unit in alike])


def _row(name: str, values: Sequence[float]) -> Stage:
    return Stage(name, sum(values) / len(values), min(values), max(values))
