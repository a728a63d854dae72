"""The three servers side by side, and what docs/differences.md says of them."""

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.kit.late import LONGER
from tests.kit.node import running_node
from tests.kit.origin import running_origin
from tests.outside.differential.compare import Rows, play_all
from tests.outside.differential.servers import running_nginx, running_varnish
from tests.outside.differential.themes import THEMES

TABLE = Path(__file__).parents[3] / "docs" / "differences.md"

Cells = tuple[str, str, str]
"""nginx, Varnish, cdnlab."""


@dataclass(frozen=True)
class Told:
    """A row of the page."""

    seen: Cells
    why: str


async def play_three(
    folder: Path, seed: int, themes: Collection[str] = THEMES.keys(), slower: float = 1.0
) -> tuple[Rows, Rows, Rows]:
    """The same scripts to nginx, Varnish and our edge, each in front of an origin of its own."""
    async with AsyncExitStack() as stack:
        origins = [await stack.enter_async_context(running_origin()) for _ in range(3)]
        nginx = await stack.enter_async_context(running_nginx(origins[0].url, folder / "nginx"))
        varnish = await stack.enter_async_context(running_varnish(origins[1].url, folder / "varnish"))
        ours = await stack.enter_async_context(running_node(origins[2].url))
        servers = (nginx, varnish, ours.url)
        return tuple(  # type: ignore[return-value]
            await asyncio.gather(
                *(play_all(url, origin, seed, themes, slower) for url, origin in zip(servers, origins, strict=True))
            )
        )


def settled(folder: Path, seed: int) -> tuple[Rows, Rows, Rows]:
    """As `play_three`; but a theme with a cell that is not as the page says counts only as it was played more slowly.

    A busy machine may bring a viewer too late to wait with the others, or look for a refresh before it has begun.
    """
    rows: tuple[Rows, Rows, Rows] = ({}, {}, {})
    themes: Collection[str] = THEMES.keys()
    for slower in LONGER:
        (played := folder / f"{slower}").mkdir()
        for all_seen, seen in zip(rows, asyncio.run(play_three(played, seed, themes, slower)), strict=True):
            all_seen.update(seen)
        themes = unlike_the_page(*rows)
        if not themes:
            break
    return rows


def unlike_the_page(nginx: Rows, varnish: Rows, ours: Rows) -> set[str]:
    """Themes of which a step differs and is no row of the page, or is one and does not differ so."""
    told, found = known(), differing(nginx, varnish, ours)
    return {place[0] for place in told.keys() | found if place not in told or found.get(place) != told[place].seen}


def differing(nginx: Rows, varnish: Rows, ours: Rows) -> dict[tuple[str, str], Cells]:
    """Where not all three did the same."""
    rows = {place: (nginx[place], varnish[place], ours[place]) for place in ours}
    return {place: cells for place, cells in rows.items() if len(set(cells)) > 1}


def known() -> dict[tuple[str, str], Told]:
    """The rows of the page: | theme | step | nginx | Varnish | cdnlab | why |."""
    found: dict[tuple[str, str], Told] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []:
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 6 and cells[0] != "theme":
            found[cells[0], cells[1]] = Told((cells[2], cells[3], cells[4]), cells[5])
    return found
