"""What a settings file's cluster listens on."""

from pathlib import Path

import pytest

from cdnlab.lab import ports
from cdnlab.settings.addresses import addresses
from cdnlab.settings.document import parse

NODE = '[[node]]\nname = "fra"\nlisten = "127.0.0.1:1"\nadmin = "127.0.0.1:2"\n'
AWAY = NODE + 'parent = "http://192.0.2.1"\n'

ORIGIN = [  # given                                                                        then: the origin is started
    ("", True),  # nothing else is
    ('[[stream]]\nname = "live"\n', True),
    (NODE, True),
    (AWAY, False),
    (AWAY + '[origin]\nlisten = "127.0.0.1:1"\n', False),  # its address is nobody's, then, and may be fra's
    (AWAY + '[[stream]]\nname = "live"\n', True),
    (AWAY + 'failover = { to = ["origin"] }\n', True),
    (AWAY + '[[node]]\nname = "nyc"\n', True),
    (AWAY + '[origin]\nvod = "files"\n', True),
    (NODE + 'parent = "http://127.0.0.1:9000"\n', True),  # ours, by its address
]


@pytest.mark.parametrize(("text", "started"), ORIGIN)
def test_the_origin_listens_where_somebody_wants_it(text: str, started: bool) -> None:
    document = parse(text, file="cdn.toml", folder=Path(), environ={}).document
    assert ("origin.listen" in addresses(document)) is started
    assert ("origin.ingest" in addresses(document)) is started
    assert "control.listen" in addresses(document)


def test_free_ports_come_in_the_place_of_those_that_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[origin]\nlisten = "0.0.0.0:1"\n[control]\nlisten = "[::1]:2"\n' + NODE.replace(":2", ":3")
    loaded = parse(text.replace('listen = "127.0.0.1:1"', 'listen = "127.0.0.1:4"'), file="", folder=Path(), environ={})
    why = {"0.0.0.0:1": ports.TAKEN, "[::1]:2": ports.TAKEN, "127.0.0.1:3": ports.TAKEN, "127.0.0.1:4": "not allowed"}
    monkeypatch.setattr(ports, "why_taken", lambda address: why.get(address, ""))
    changed, taken = ports.with_free_ports(loaded)
    assert taken == ["origin.listen 0.0.0.0:1", "control.listen [::1]:2", "node[0].admin (fra) 127.0.0.1:3"]
    assert addresses(changed.document) == {
        "origin.listen": "0.0.0.0:0",
        "origin.ingest": "127.0.0.1:9001",
        "control.listen": "[::1]:0",
        "node[0].listen (fra)": "127.0.0.1:4",  # no other port would help there
        "node[0].admin (fra)": "127.0.0.1:0",
    }
