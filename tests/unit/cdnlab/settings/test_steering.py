"""The pathways of content steering in a settings file."""

from pathlib import Path

import pytest

from cdnlab.errors import BadDocument
from cdnlab.settings.document import Document, parse

NODES = """
[[node]]
name = "shield"
[[node]]
name = "fra"
parent = "shield"
listen = "127.0.0.1:8081"
admin = "127.0.0.1:8181"
[[node]]
name = "nyc"
parent = "shield"
listen = "192.0.2.1:8082"
admin = "127.0.0.1:8182"
"""
STEERED = "[origin.steering]\n"


def read(text: str) -> Document:
    return parse(text, file="cdn.toml", folder=Path("/"), environ={}).document


def test_the_edges_are_the_pathways_unless_there_are_others() -> None:
    assert read(NODES).origin.steering is None
    steering = read(NODES + STEERED).origin.steering
    assert steering is not None
    assert steering.pathways == {"fra": "http://127.0.0.1:8081", "nyc": "http://192.0.2.1:8082"}
    steering = read(f'{NODES}{STEERED}pathways = {{ all = "https://cdn.example.com/" }}').origin.steering
    assert steering is not None
    assert steering.pathways == {"all": "https://cdn.example.com"}


@pytest.mark.parametrize(
    ("text", "where", "wanted"),
    [
        (STEERED, "origin.steering", "no edge"),
        (NODES.replace("192.0.2.1:8082", "0.0.0.0:8082") + STEERED, "origin.steering", '"0.0.0.0:8082" of nyc'),
        (NODES.replace("192.0.2.1:8082", "127.0.0.1:0") + STEERED, "origin.steering", '"127.0.0.1:0" of nyc'),
        (NODES + STEERED + 'priority = ["lon"]', "origin.steering.priority", "edges (fra, nyc)"),
        (NODES + STEERED + 'priority = ["fra", "fra"]', "origin.steering", "each once"),
        (NODES + STEERED + 'pathways = { a = "a.example.com" }', "origin.steering.pathways.a", "https://"),
        (NODES + STEERED + 'ttl = "0s"', "origin.steering.ttl", ""),
    ],
)
def test_what_players_cannot_be_told_is_a_complaint(text: str, where: str, wanted: str) -> None:
    with pytest.raises(BadDocument) as bad:
        read(text)
    assert where in str(bad.value)
    assert wanted in str(bad.value)
