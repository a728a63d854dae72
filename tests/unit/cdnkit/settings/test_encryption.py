"""Which streams are encrypted, and files of secrets that cannot be used."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdnkit.settings.encoder_secrets import BadCredentials
from cdnkit.settings.encryption import Encryption, read_secret
from cdnkit.settings.origin import Origin


def test_the_first_that_matches_applies() -> None:
    rules = (Encryption(streams=("paid-*", "extra")), Encryption(streams=("*",), method="AES-128"))
    origin = Origin(encryption=rules)
    found = {name: one.method for name in ("paid-1", "extra", "free") if (one := origin.encryption_of(name))}
    assert found == {"paid-1": "SAMPLE-AES", "extra": "SAMPLE-AES", "free": "AES-128"}
    assert Origin(encryption=rules[:1]).encryption_of("free") is None


def test_parts_of_whole_segments_are_refused() -> None:
    with pytest.raises(ValidationError, match=r'encryption\[1\].method = "AES-128" and part'):
        Origin(encryption=({}, {"method": "AES-128"}), part=0.5)  # type: ignore[arg-type]
    Origin(encryption=({},), part=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "found"), [(b"short\n", "5 bytes"), (b"x" * 70_000, "65537 bytes")])
def test_a_secret_that_cannot_be_used_is_not_shown(tmp_path: Path, text: bytes, found: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text)
    with pytest.raises(BadCredentials, match=found) as caught:
        read_secret("encryption[0].secret_file", file)
    assert "short" not in str(caught.value) and "origin.encryption[0].secret_file" in str(caught.value)


def test_a_secret_is_what_is_before_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b" sixteen or more \r\n")
    assert read_secret("", tmp_path / "secret") == b" sixteen or more "
    with pytest.raises(BadCredentials, match="No such file"):
        read_secret("", tmp_path / "other")
