"""Encrypted streams as they are served: ffmpeg plays them by itself, and an independent reader finds every frame."""

import base64
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.cbcs_reader import clear_samples
from tests.kit.live_origin import Feeder, Running, pieces, request, until
from tests.real.origin.test_mpegts import decoded, listed, publish
from tests.real.origin.test_packagings import frames
from tests.unit.origin.media.test_fragments import FTYP, box
from tests.unit.origin.media.test_sample_entries import hvcc, pictures
from tests.unit.origin.media.test_tracks import init

pytestmark = pytest.mark.live

TRACKS = ("180p", "90p", "audio-64k")
ROTATED = pytest.mark.parametrize("rotate", [None, "2s"], ids=["one key", "rotated"])


def rule(method: str, **more: object) -> tuple[dict[str, object], ...]:
    return ({"method": method, **{key: value for key, value in more.items() if value is not None}},)


def key_lines(origin: Running, track: str) -> list[str]:
    text = origin.get(f"live/{track}/media.m3u8").text
    return [line for line in text.splitlines() if line.startswith("#EXT-X-KEY")]


def keys_of(origin: Running, track: str) -> dict[str, bytes]:
    """Keys by id, of all that a track's playlist names."""
    ids = re.findall(r'URI="\.\./key-([0-9a-f]{32})\.key"', origin.get(f"live/{track}/media.m3u8").text)
    return {id: origin.get(f"live/key-{id}.key").body for id in ids}


def test_ffmpeg_plays_aes_128_with_rotating_keys(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str, tmp_path: Path
) -> None:
    origin = origins(encryption=rule("AES-128", rotate="2s"))
    publish(origin, encoded)
    for track in TRACKS:
        assert len(key_lines(origin, track)) == 3
        (tmp_path / "clear.mp4").write_bytes(encoded[next(one for one in encoded if one.startswith(f"{track}."))])
        audio = track.startswith("audio")
        wanted = decoded(ffmpeg, tmp_path / "clear.mp4", audio=audio)
        got = decoded(ffmpeg, f"{origin.url}/live/{track}/media.m3u8", audio=audio)
        assert [frame for _, frame in got] == [frame for _, frame in wanted]


def test_ffmpeg_plays_cbcs_by_the_playlist(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str, tmp_path: Path
) -> None:
    """It knows one key of a playlist; where keys change, it is given all of them (below)."""
    origin = origins(encryption=rule("SAMPLE-AES"))
    publish(origin, encoded)
    for track in TRACKS:
        (tmp_path / "clear.mp4").write_bytes(encoded[next(one for one in encoded if one.startswith(f"{track}."))])
        audio = track.startswith("audio")
        wanted = decoded(ffmpeg, tmp_path / "clear.mp4", audio=audio)
        got = decoded(ffmpeg, f"{origin.url}/live/{track}/media.m3u8", audio=audio)
        assert [frame for _, frame in got] == [frame for _, frame in wanted]


@ROTATED
@pytest.mark.parametrize("part", [None, "200ms"], ids=["segments", "parts"])
def test_every_frame_is_in_cbcs(
    origins: Callable[..., Running], encoded: dict[str, bytes], rotate: str | None, part: str | None
) -> None:
    origin = origins(encryption=rule("SAMPLE-AES", rotate=rotate), part=part)
    publish(origin, encoded)
    for track in TRACKS:
        keys = keys_of(origin, track)
        assert len(keys) == (3 if rotate else 1)
        init, got = b"", []
        for line in origin.get(f"live/{track}/media.m3u8").text.splitlines():
            if line.startswith("#EXT-X-MAP"):
                init = origin.get(f"live/{track}/{line.split(chr(34))[1]}").body
            elif line.endswith(".m4s"):
                data = origin.get(f"live/{track}/{line}").body
                got += clear_samples(init, data, keys)
        source = encoded[next(one for one in encoded if one.startswith(f"{track}."))]
        assert got == [sample for _, _, sample in frames(source)]


def test_parts_are_the_bytes_of_their_segment(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(encryption=rule("SAMPLE-AES", rotate="1s"), part="200ms")
    publish(origin, encoded)
    text = origin.get("live/180p/media.m3u8").text
    parts: dict[str, bytes] = {}
    for name in re.findall(r'URI="(part-[^"]+)"', text):
        whole = re.sub(r"part-(\d+-\d+)-\d+", r"seg-\1", name)
        parts[whole] = parts.get(whole, b"") + origin.get(f"live/180p/{name}").body
    assert parts
    for name, data in parts.items():
        assert origin.get(f"live/180p/{name}").body == data


def test_ffmpeg_decodes_what_each_key_has_encrypted(
    origins: Callable[..., Running], encoded: dict[str, bytes], ffmpeg: str, tmp_path: Path
) -> None:
    origin = origins(encryption=rule("SAMPLE-AES", rotate="2s"))
    publish(origin, encoded)
    for track in TRACKS:
        audio = track.startswith("audio")
        (tmp_path / "clear.mp4").write_bytes(encoded[next(one for one in encoded if one.startswith(f"{track}."))])
        wanted = [frame for _, frame in decoded(ffmpeg, tmp_path / "clear.mp4", audio=audio)]
        runs: list[bytes] = []
        for line in origin.get(f"live/{track}/media.m3u8").text.splitlines():
            if line.startswith("#EXT-X-MAP"):
                runs.append(origin.get(f"live/{track}/{line.split(chr(34))[1]}").body)
            elif line.endswith(".m4s"):
                runs[-1] += origin.get(f"live/{track}/{line}").body
        got = []
        for key, run in zip(keys_of(origin, track).values(), runs, strict=True):
            (tmp_path / "run.mp4").write_bytes(run)
            got.append(decoded(ffmpeg, tmp_path / "run.mp4", audio=audio, options=["-decryption_key", key.hex()]))
        assert sum(map(len, got)) == len(wanted)
        if not audio:  # a decoder of sound that begins anew has nothing to overlap with
            assert [frame for run in got for _, frame in run] == wanted


def test_dash_names_each_key_and_clearkey_gives_it(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(encryption=rule("SAMPLE-AES", rotate="2s"))
    publish(origin, encoded)
    text = origin.get("live/manifest.mpd").text
    assert text.count("<Period ") == 3
    kids = re.findall(r'value="cbcs" cenc:default_KID="([0-9a-f-]{36})"', text)
    assert len(kids) == 6 and len(set(kids)) == 3
    asked = {"kids": [base64.urlsafe_b64encode(bytes.fromhex(kids[0].replace("-", ""))).decode().rstrip("=")]}
    license = re.search(r"<dashif:Laurl[^>]*>([^<]+)<", text)
    assert license is not None
    reply = request(f"{origin.url}/live/{license[1]}", "POST", body=json.dumps({**asked, "type": "temporary"}))
    assert (reply.status, reply.headers["cache-control"]) == (200, "private, no-store")
    found = json.loads(reply.body)["keys"]
    assert [one["kid"] for one in found] == asked["kids"]
    key = base64.urlsafe_b64decode(found[0]["k"] + "==")
    assert key == keys_of(origin, "180p")[kids[0].replace("-", "")]


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES"])
def test_a_key_is_for_no_cache_and_in_no_other_file_or_answer(
    origins: Callable[..., Running],
    encoded: dict[str, bytes],
    tmp_path: Path,
    method: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    origin = origins(encryption=rule(method))
    publish(origin, encoded)
    [(id, key)] = keys_of(origin, "180p").items()
    reply = origin.get(f"live/key-{id}.key")
    assert (reply.status, len(key), reply.headers["content-type"]) == (200, 16, "application/octet-stream")
    assert reply.headers["cache-control"] == "private, no-store"
    assert reply.headers["surrogate-key"] == "live key"
    file = tmp_path / "media" / ".keys" / "live.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    shown = [origin.get("").text, origin.get("live/180p/media.m3u8").text, caplog.text]
    shown += [one.read_text("latin-1") for one in (tmp_path / "media").rglob("*") if one.is_file() and one != file]
    for form in (key.hex(), key.decode("latin-1"), base64.b64encode(key).decode().rstrip("=")):
        assert not any(form in text for text in shown)


def test_aes_128_has_no_dash_and_no_mpeg_ts(origins: Callable[..., Running], encoded: dict[str, bytes]) -> None:
    origin = origins(encryption=rule("AES-128"))
    publish(origin, encoded)
    for name in ("manifest.mpd", "manifest-number.mpd"):
        reply = origin.get(f"live/{name}")
        assert reply.status == 404 and "AES-128, which DASH has not; wanted SAMPLE-AES" in reply.text
    assert origin.get("live/multivariant-ts.m3u8").status == 404


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES"])
def test_what_is_listed_can_be_decrypted_after_a_restart(
    origins: Callable[..., Running], encoded: dict[str, bytes], method: str
) -> None:
    first = origins(encryption=rule(method, rotate="2s"))
    publish(first, encoded)
    before = {track: (first.get(f"live/{track}/media.m3u8").text, keys_of(first, track)) for track in TRACKS}
    first.stop()
    again = origins(encryption=())  # the setting is gone: what it made is not
    for track in TRACKS:
        assert (again.get(f"live/{track}/media.m3u8").text, keys_of(again, track)) == before[track]
    publish(again, encoded)
    lines = key_lines(again, "180p")
    assert lines[-1] == "#EXT-X-KEY:METHOD=NONE" and len(lines) == 4


def test_a_lost_key_makes_gaps(origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path) -> None:
    first = origins(encryption=rule("AES-128"))
    publish(first, encoded)
    first.stop()
    (tmp_path / "media" / ".keys" / "live.json").unlink()
    again = origins(encryption=rule("AES-128"))
    text = again.get("live/180p/media.m3u8").text
    assert text.count("#EXT-X-GAP") == text.count("#EXTINF") and "#EXT-X-KEY" not in text


def test_nothing_is_listed_before_its_key_is_stored(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    origin = origins(encryption=rule("SAMPLE-AES"))
    (tmp_path / "media" / ".keys").write_text("in the way of a folder")
    feeder = Feeder(origin, "live/180p.cmfv")
    init, *fragments = pieces(encoded["180p.cmfv"])
    feeder.send(init + b"".join(fragments[:5]))
    until(lambda: origin.get("healthz").status == 503)
    assert origin.get("live/180p/media.m3u8").status == 404
    assert not list((tmp_path / "media" / "live").rglob("*.m4s"))
    (tmp_path / "media" / ".keys").unlink()
    feeder.send(b"".join(fragments[5:]))
    assert feeder.end().status == 200
    until(lambda: "ENDLIST" in origin.get("live/180p/media.m3u8").text)
    assert origin.get("healthz").status == 200
    assert len(keys_of(origin, "180p")) == 1 and len(listed(origin, "live/180p/media.m3u8")) >= 2


def test_keys_go_with_the_last_segment_that_needs_them(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    origin = origins(encryption=rule("SAMPLE-AES", rotate="1s"), window=3.0, linger=0.0)
    video = {name: data for name, data in encoded.items() if name == "180p.cmfv"}
    seen: dict[str, bytes] = {}
    feeder = Feeder(origin, "live/180p.cmfv")
    for piece in pieces(video["180p.cmfv"]):
        feeder.send(piece)
        if origin.get("live/180p/media.m3u8").status == 200:
            seen |= keys_of(origin, "180p")
    feeder.end()
    until(lambda: "ENDLIST" in origin.get("live/180p/media.m3u8").text)
    left = keys_of(origin, "180p")
    assert len(left) == 3
    saved = json.loads((tmp_path / "media" / ".keys" / "live.json").read_text())
    assert [one[0] for one in saved["keys"]] == list(left)
    for id in seen.keys() - left.keys():
        assert origin.get(f"live/key-{id}.key").status == 404


def test_a_secret_gives_the_same_keys_to_each_origin(
    origins: Callable[..., Running], encoded: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a secret of more than sixteen bytes\n")
    found = []
    for name in ("one", "two"):
        origin = origins(
            encryption=rule("AES-128", rotate="2s", secret_file=tmp_path / "secret"), storage=tmp_path / name
        )
        publish(origin, encoded)
        found.append(keys_of(origin, "180p"))
    assert found[0] == found[1] and len(set(found[0].values())) == 3


def test_a_codec_that_cbcs_cannot_encrypt_here_is_refused(
    origins: Callable[..., Running],
) -> None:
    """Never published unencrypted, and never as a whole where players want slice headers."""
    body = FTYP + init(box(b"hvc1", pictures(hvcc(0x01, 0x60000000, b"\xb0", 93))), b"vide").data
    origin = origins(encryption=rule("SAMPLE-AES", streams=("paid-*",)))
    reply = origin.post("paid-1/720p.cmfv", body)
    assert reply.status == 415 and 'wanted H.264, or method = "AES-128"' in reply.text
    assert origin.post("free/720p.cmfv", body).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (b"[]", 400),
        (b'{"kids": []}', 400),
        (b'{"kids": [1]}', 400),
        (b'{"kids": ' + b"[" * 9000, 400),
        (b" " * 20_000, 400),
        (b'{"kids": ["AAAAAAAAAAAAAAAAAAAAAA"]}', 404),
    ],
)
def test_license_requests_of_bad_manners(origins: Callable[..., Running], body: bytes, status: int) -> None:
    origin = origins(encryption=rule("SAMPLE-AES"))
    reply = request(f"{origin.url}/live/license.key", "POST", body=body)
    assert (reply.status, reply.headers["cache-control"]) == (status, "private, no-store")
    asked = request(f"{origin.url}/live/license.key", "OPTIONS")
    assert "POST" in asked.headers["access-control-allow-methods"]


def test_an_object_of_that_name_is_served_as_it_was_uploaded(origins: Callable[..., Running]) -> None:
    origin = origins()
    assert origin.post("live/license.key", b"an encoder's own", "PUT").status == 201
    assert origin.get("live/license.key").body == b"an encoder's own"


def test_a_fragment_that_cannot_be_encrypted_is_a_gap_and_is_named(
    origins: Callable[..., Running], encoded: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The length of a NAL unit does not fit its sample: what is behind it might be published as it is."""
    origin = origins(encryption=rule("SAMPLE-AES"))
    init, *fragments = pieces(encoded["180p.cmfv"])
    at = fragments[4].index(b"mdat") + 4
    fragments[4] = fragments[4][:at] + b"\x7f\xff\xff\xff" + fragments[4][at + 4 :]
    feeder = Feeder(origin, "live/180p.cmfv")
    feeder.send(init + b"".join(fragments))
    assert feeder.end().status == 200
    until(lambda: "ENDLIST" in origin.get("live/180p/media.m3u8").text)
    text = origin.get("live/180p/media.m3u8").text
    assert text.count("#EXT-X-GAP") == 1
    gap = text.split("#EXT-X-GAP")[1].split("\n")[2]
    assert origin.get(f"live/180p/{gap}").status == 404
    assert (
        f"live/180p/{gap}: cannot be encrypted, and is not published: a NAL unit: found 2147483647 bytes" in caplog.text
    )
