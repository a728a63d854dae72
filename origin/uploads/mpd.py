"""What an uploaded MPD lists (ISO/IEC 23009-1 section 5.3.9): segment templates, segment lists, base URLs.

An MPD names most of its segments by a template. A path that a template could have made is listed while its number or
time lies in the SegmentTimeline, or, where there is none, while the object is younger than `timeShiftBufferDepth`.
Whatever this reader does not know of lists more, never less: an object too many costs room, one too few a viewer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from origin.errors import BadMedia
from origin.uploads.lists import EVERYTHING, Listing, Template, resolve

MOST_TEMPLATES = 256
"""An MPD with more lists every object of its stream."""

_INNER = {"MPD": "Period", "Period": "AdaptationSet", "AdaptationSet": "Representation"}
_MARK = "~media~"
"""Stands where a template's media attribute does, while its base URL is resolved."""

_DURATION = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12}(?:\.\d{1,12})?)S)?)?")
_VARIABLE = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth|SubNumber|)(?:%0(\d{1,3})d)?\$")


@dataclass(slots=True)
class _Context:
    """What a Representation inherits from the elements around it."""

    bases: list[str] = field(default_factory=lambda: [""])
    template: dict[str, str] = field(default_factory=dict)
    timeline: Element | None = None


def read_mpd(stream: str, path: str, data: bytes) -> Listing:
    """What an MPD lists. `BadMedia`: it is none."""
    parser = XMLParser(target=_Builder())
    try:
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise BadMedia("MPD", f"no XML ({error})", "an MPD (ISO/IEC 23009-1)") from None
    if _name(root) != "MPD":
        raise BadMedia("MPD", f"the element {_name(root)}", "MPD")
    depth = _seconds(root.get("timeShiftBufferDepth"))
    target = _seconds(root.get("maxSegmentDuration")) or 0.0
    paths: set[str] = set()
    templates: list[Template] = []
    longest = 0.0
    for context, representation in _representations(root, _Context()):
        names, template, duration = _read(stream, path, context, representation, depth)
        paths |= names
        templates += template
        longest = max(longest, duration)
    distinct = tuple(dict.fromkeys(templates))
    return Listing(
        paths=frozenset(paths),
        templates=distinct if len(distinct) <= MOST_TEMPLATES else (EVERYTHING,),
        duration=max(longest, depth or 0.0),
        target=target,
        ended=root.get("type", "static") == "static",
    )


class _Builder(TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise BadMedia("MPD", "a document type declaration", "none: an MPD has no entities")


def _representations(element: Element, outer: _Context) -> Iterator[tuple[_Context, Element]]:
    """Every Representation, with what it inherits."""
    context = _inherit(element, outer)
    inner = _INNER.get(_name(element))
    if inner is None:
        yield context, element
        return
    for child in element:
        if _name(child) == inner:
            yield from _representations(child, context)


def _inherit(element: Element, outer: _Context) -> _Context:
    bases = [(child.text or "").strip() for child in element if _name(child) == "BaseURL"]
    joined = [_join(base, one) for base in outer.bases for one in bases][:16] if bases else outer.bases
    context = _Context(joined, dict(outer.template), outer.timeline)
    for child in element:
        if _name(child) == "SegmentTemplate":
            context.template |= dict(child.attrib)
            timeline = next((one for one in child if _name(one) == "SegmentTimeline"), None)
            context.timeline = timeline if timeline is not None else context.timeline
    return context


def _read(
    stream: str, path: str, context: _Context, representation: Element, depth: float | None
) -> tuple[set[str], list[Template], float]:
    """(paths named, templates, seconds of media in the timeline)."""
    references: list[str] = []
    for element in representation.iter():
        references += [element.get(key, "") for key in ("sourceURL", "media") if _name(element) != "SegmentTemplate"]
    if not context.template and context.bases != [""]:
        references.append("")  # the base itself is the media: a single file
    identity = {"RepresentationID": representation.get("id", ""), "Bandwidth": representation.get("bandwidth", "0")}
    template, templates = context.template, []
    if initialization := template.get("initialization"):
        references.append(_expand(initialization, identity))
    first, last, duration = _span(template, context.timeline)
    if media := template.get("media"):
        for base in context.bases:
            for whole in resolve(stream, path, _join(base, _MARK)):
                pattern = re.escape(whole).replace(re.escape(_MARK), _pattern(media, identity))
                shift = None if depth is None else depth + duration
                wanted = (first, last) if "$Time" in media or "$Number" in media else (None, None)
                templates.append(Template(re.compile(pattern), *wanted, shift))
    names = {
        one
        for base in context.bases
        for reference in references
        if reference or base
        for one in resolve(stream, path, _join(base, reference))
    }
    return names, templates, duration


def _join(base: str, reference: str) -> str:
    if "://" in reference or reference.startswith("/") or not base:
        return reference
    return base.rpartition("/")[0] + "/" + reference if reference and "/" in base else reference or base


def _expand(text: str, identity: dict[str, str]) -> str:
    def replaced(match: re.Match[str]) -> str:
        value = identity.get(match[1], "$" if not match[1] else "")
        return value.zfill(int(match[2])) if match[2] else value

    return _VARIABLE.sub(replaced, text)


def _pattern(text: str, identity: dict[str, str]) -> str:
    """The template as a regular expression; group 1 is the number or the time."""
    pattern, at, grouped = "", 0, False
    for match in _VARIABLE.finditer(text):
        pattern += re.escape(text[at : match.start()])
        if match[1] in ("Number", "Time"):
            pattern, grouped = pattern + (r"\d{1,20}" if grouped else r"(\d{1,20})"), True
        elif match[1] == "SubNumber":
            pattern += r"\d{1,20}"
        else:
            pattern += re.escape(_expand(match[0], identity))
        at = match.end()
    return pattern + re.escape(text[at:])


def _span(template: dict[str, str], timeline: Element | None) -> tuple[int | None, int | None, float]:
    """(first, last) number or time that the timeline lists, and its seconds; (None, None, ...): there is none."""
    scale = max(1, _whole(template.get("timescale"), 1))
    if timeline is None:
        return None, None, _whole(template.get("duration"), 0) / scale
    count, at, total, open_ended = 0, 0, 0, False
    first: int | None = None
    last = 0
    for one in timeline:
        if _name(one) != "S":
            continue
        at = _whole(one.get("t"), at)
        duration, repeats = _whole(one.get("d"), 0), _whole(one.get("r"), 0)
        open_ended |= repeats < 0
        times = max(0, repeats) + 1
        first = at if first is None else first
        count, at, total = count + times, at + times * duration, total + times * duration
        last = at - duration
    if first is None:
        return None, None, 0.0
    if "$Time" in template.get("media", ""):
        return first, None if open_ended else last, total / scale
    start = _whole(template.get("startNumber"), 1)
    return start, None if open_ended else start + count - 1, total / scale


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,20}", text) else otherwise


def _seconds(text: str | None) -> float | None:
    """An xs:duration in seconds; None where there is none, or one with years and months."""
    match = _DURATION.fullmatch(text or "")
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(one or 0) for one in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
