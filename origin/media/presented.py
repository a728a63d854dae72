"""Samples with the times that their edit list says (`edit_lists`)."""

from bisect import bisect_left
from fractions import Fraction

from origin.errors import BadMedia
from origin.media.edit_lists import Edit
from origin.media.fragments import Fragment
from origin.media.tracks import Kind, Track


def present(fragment: Fragment, track: Track, edit: Edit) -> tuple[Fragment | None, Fragment | None]:
    """(what the list leaves out, what it presents), each None where there is nothing of it.

    `BadMedia`: the fragment cannot be written anew.
    """
    table = fragment.table
    fits = table is not None and min(table.shifts) - edit.skip >= -(2**31) and max(table.shifts) < 2**31
    if not fits or fragment.end + edit.delay >= 2**63:
        raise BadMedia(
            f"decode time {float(Fraction(fragment.start, track.timescale)):.3f} s",
            "a fragment that cannot be written anew, in a track with an edit list",
            "times without an edit list (ffmpeg: -use_editlist 0)",
        )
    if track.kind is Kind.VIDEO:
        return None, fragment.moved(edit.delay, edit.skip, track.track_id)
    later = edit.delay - edit.skip
    early = bisect_left(fragment.starts()[:-1], -later)  # what would be decoded before time 0
    if early == fragment.samples:
        return fragment, None
    head, rest = fragment.divide(early, track.track_id) if early else (None, fragment)
    return head, rest.moved(later, 0, track.track_id)
