"""What an init section says about its track: the `moov` box (ISO/IEC 14496-12 8.2), read for HLS attributes.

What its samples are is in its sample entry (`sample_entries`). Its language is in `elng`, else in `mdhd`; its name is
that of its handler, unless it is a multiplexer's; its role stands in `udta/kind` boxes (8.4.6, 8.4.2, 8.10.4).
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from cdnkit.hls import language_tag
from origin.errors import BadMedia, NotSupported
from origin.media.boxes import Box, Fields, children
from origin.media.edit_lists import Edit, read_edit, without_edit_list
from origin.media.sample_entries import read_sample_entry

_ROLES = "urn:mpeg:dash:role:2011"
_HTML_KINDS = {"translation": "dub", "descriptions": "description", "captions": "caption", "subtitles": "subtitle"}
"""What "about:html-kind" calls otherwise than DASH (ISO/IEC 23000-19 7.5.3)."""
_MULTIPLEXERS = re.compile(
    r"handler|core media|media file|gpac|^(?:video|audio|sound|text|subtitles?)?$", re.IGNORECASE
)
"""Names that no person gave."""
_LONGEST_LABEL = 64


class Kind(StrEnum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"


@dataclass(slots=True)
class Track:
    """One track as its init section describes it."""

    kind: Kind
    track_id: int
    timescale: int
    """Ticks a second of decode times and durations."""
    codec: str
    """RFC 6381 name for CODECS."""
    width: int = 0
    height: int = 0
    """Video: coded size in pixels."""
    sample_rate: int = 0
    channels: int = 0
    """Audio."""
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0
    """What trex says of samples whose fragment does not."""
    language: str = ""
    """BCP 47; "": not known."""
    label: str = ""
    """A name that a person gave it."""
    role: str = ""
    """DASH's word (ISO/IEC 23009-1 5.8.5.5)."""
    enabled: bool = True
    max_bps: int = 0
    average_bps: int = 0
    """The bit rates that its encoder declares; 0: it does not."""
    video_range: str = ""
    """SDR, HLG or PQ; "": not known."""
    length_size: int = 0
    """Bytes of the length before each NAL unit of its samples; 0: they are no NAL units."""
    configuration: str = ""
    """A hash of its sample entry: decoders set up for one track play another that has the same."""
    captions: tuple[str, ...] = ()
    """INSTREAM-IDs of the closed captions that its pictures carried so far."""
    default_kid: str = ""
    """Id of the key that its samples are encrypted with (cbcs), in hex; "": they are not."""


@dataclass(slots=True)
class InitSection:
    """`ftyp` and `moov` as received, but for an edit list, and what they say."""

    data: bytes
    track: Track
    edit: Edit | None = None
    """What the edit list said: for the times of the samples to say."""
    id: str = field(init=False)
    """Named after its content: equal bytes, equal name."""

    def __post_init__(self) -> None:
        self.id = _hash(self.data)

    def is_like(self, other: "InitSection") -> bool:
        """Whether fragments that belong to the other one can be played after this one."""
        tracks = [replace(one.track, captions=()) for one in (self, other)]
        return self.edit == other.edit and (self.id == other.id or tracks[0] == tracks[1])


def _hash(data: bytes | memoryview) -> str:
    return sha256(data).hexdigest()[:12]


def read_init(ftyp: bytes, moov: Box) -> InitSection:
    """The init section these two boxes make. `BadMedia`: not exactly one track, or not of CMAF."""
    where = f"byte {moov.offset}, moov"
    traks: list[memoryview] = []
    defaults: dict[int, tuple[int, int, int]] = {}
    fragmented = False
    for kind, payload in children(moov.payload, where):
        if kind == "trak":
            traks.append(payload)
        elif kind == "mvex":
            fragmented = True
            for inner, trex in children(payload, f"{where}/mvex"):
                if inner == "trex":
                    fields = Fields(trex, f"{where}/mvex/trex")
                    fields.take(4)
                    track_id, _, duration, size, flags = fields.words(5)
                    defaults[track_id] = (duration, size, flags)
    if len(traks) != 1:
        raise BadMedia(where, f"{len(traks)} tracks", "one track a request")
    if not fragmented:
        raise NotSupported(where, "no mvex", "fragmented MP4 (ffmpeg: -movflags cmaf+empty_moov)")
    track = _read_trak(traks[0], f"{where}/trak")
    track.default_duration, track.default_size, track.default_flags = defaults.get(track.track_id, (0, 0, 0))
    edit = read_edit(moov.payload, track.timescale, where)
    return InitSection(ftyp + (without_edit_list(moov.payload, where) if edit else moov.data), track, edit)


def _only(data: memoryview, path: str, where: str) -> memoryview:
    """The payload of the first box on a path such as `mdia/minf/stbl/stsd`."""
    for step in path.split("/"):
        for kind, payload in children(data, where):
            if kind == step:
                data = payload
                break
        else:
            raise BadMedia(where, f"no {step}", f"{path} in it")
        where = f"{where}/{step}"
    return data


def _read_trak(trak: memoryview, where: str) -> Track:
    tkhd = Fields(_only(trak, "tkhd", where), f"{where}/tkhd")
    version, flags = tkhd.version_and_flags()
    tkhd.take(16 if version == 1 else 8)
    track_id = tkhd.uint(4)
    mdia = _only(trak, "mdia", where)
    mdhd = Fields(_only(trak, "mdia/mdhd", where), f"{where}/mdia/mdhd")
    version, _ = mdhd.version_and_flags()
    mdhd.take(16 if version == 1 else 8)
    timescale = mdhd.uint(4)
    if timescale == 0:
        raise BadMedia(mdhd.where, "timescale 0", "ticks a second")
    mdhd.take(8 if version == 1 else 4)
    language = language_tag(_letters(mdhd.uint(2)))
    hdlr = Fields(_only(trak, "mdia/hdlr", where), f"{where}/mdia/hdlr")
    hdlr.take(8)
    handler = bytes(hdlr.take(4))
    hdlr.take(12)
    stsd = Fields(_only(trak, "mdia/minf/stbl/stsd", where), f"{where}/mdia/minf/stbl/stsd")
    stsd.take(8)
    entries = list(children(stsd.rest(), stsd.where))
    if len(entries) != 1:
        raise BadMedia(stsd.where, f"{len(entries)} sample entries", "one")
    entry = read_sample_entry(handler, *entries[0], stsd.where)
    for kind, payload in children(mdia, f"{where}/mdia"):
        if kind == "elng":  # beside mdhd's language, and better: it may say a region
            language = language_tag(_text(payload[4:])) or language
    return Track(
        Kind(_KINDS[handler]),
        track_id,
        timescale,
        entry.codec,
        width=entry.width,
        height=entry.height,
        sample_rate=entry.sample_rate,
        channels=entry.channels,
        language=language,
        label=_label(_text(hdlr.rest())),
        role=_role(trak, where),
        enabled=bool(flags & 1),
        max_bps=entry.max_bps,
        average_bps=entry.average_bps,
        video_range=entry.video_range,
        length_size=entry.length_size,
        configuration=_hash(entries[0][1]),
    )


_KINDS = {b"vide": Kind.VIDEO, b"soun": Kind.AUDIO, b"text": Kind.TEXT}


def _letters(packed: int) -> str:
    """The three letters of ISO 639-2 in a language field, each its place in the alphabet (8.4.2.3)."""
    return "".join(chr(0x60 + (packed >> shift & 0x1F)) for shift in (10, 5, 0))


def _text(data: memoryview) -> str:
    """UTF-8 up to a zero."""
    return bytes(data).partition(b"\0")[0].decode("utf-8", "replace").strip()


def _label(name: str) -> str:
    return "" if _MULTIPLEXERS.search(name) else name[:_LONGEST_LABEL]


def _role(trak: memoryview, where: str) -> str:
    """The first role of `udta/kind`; "main" counts where there is no other."""
    roles = []
    with suppress(BadMedia):  # QuickTime ends user data with four bytes of zero
        for inner, said in children(_only(trak, "udta", where), f"{where}/udta"):
            scheme, _, rest = bytes(said[4:]).decode("utf-8", "replace").partition("\0")
            value = rest.partition("\0")[0]
            if inner == "kind" and scheme == _ROLES:
                roles.append(value)
            elif inner == "kind" and scheme == "about:html-kind":
                roles.append(_HTML_KINDS.get(value, value))
    known = [role for role in roles if re.fullmatch("[a-z-]{1,32}", role)]
    return next((role for role in known if role != "main"), "main" if known else "")
