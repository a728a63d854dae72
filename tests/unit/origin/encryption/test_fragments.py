"""The law of samples: decrypted samples are the samples that came, with any packaging, read by another reader."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from origin.encryption.fragments import encrypted
from origin.encryption.init_sections import parameter_sets, protected
from origin.encryption.slice_headers import ParameterSets
from origin.errors import BadMedia
from origin.media.fragments import Fragment, FragmentReader
from origin.media.tracks import InitSection, Kind
from tests.kit.cbcs_reader import clear_samples, tenc_of

ID, KEY, IV = b"\1" * 16, bytes(range(16)), b"\2" * 16


def read(body: bytes) -> tuple[InitSection, list[Fragment]]:
    init, *fragments = FragmentReader(2**26).feed(body)
    assert isinstance(init, InitSection)
    return init, [one for one in fragments if isinstance(one, Fragment)]


def samples(fragment: Fragment) -> list[bytes]:
    assert fragment.row is not None
    found, at = [], fragment.media
    for size in fragment.row.sizes:
        found.append(fragment.data[at : at + size])
        at += size
    return found


def sets_of(init: InitSection) -> ParameterSets:
    return parameter_sets(init) if init.track.kind is Kind.VIDEO else ParameterSets()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_samples_out_are_samples_in(encoded: dict[str, bytes], data: st.DataObject) -> None:
    init, fragments = read(encoded[data.draw(st.sampled_from(sorted(encoded)))])
    head, sets = protected(init, ID, IV), sets_of(init)
    assert head.track.default_kid == ID.hex() and tenc_of(head.data).kid == ID.hex()
    for fragment in fragments[:4]:
        if fragment.samples > 1 and data.draw(st.booleans()):
            fragment, _ = fragment.divide(data.draw(st.integers(1, fragment.samples - 1)), init.track.track_id)
        if data.draw(st.booleans()):
            lead = b"\0\0\0\x0cemsgabcd"
            fragment.data, fragment.lead, fragment.media = lead + fragment.data, 12, fragment.media + 12
        made = encrypted(fragment, init.track, KEY, IV, sets)
        assert clear_samples(head.data, made, {ID.hex(): KEY}) == samples(fragment)
        assert made[: fragment.lead] == fragment.data[: fragment.lead]
        [again] = [one for one in FragmentReader(2**26, known=init).feed(made) if isinstance(one, Fragment)]
        assert (again.start, again.duration, again.samples) == (fragment.start, fragment.duration, fragment.samples)
        assert fragment.row is not None and again.row is not None and again.row.sizes == fragment.row.sizes


def test_it_is_encrypted(encoded: dict[str, bytes]) -> None:
    for name, body in encoded.items():
        init, fragments = read(body)
        sets = sets_of(init)
        changed = [
            encrypted(one, init.track, KEY, IV, sets)[-one.row.sizes[-1] :] != samples(one)[-1]
            for one in fragments
            if one.row is not None and one.row.sizes[-1] >= 64
        ]
        assert changed and all(changed), name


def test_samples_that_lie_apart_are_refused(encoded: dict[str, bytes]) -> None:
    init, fragments = read(encoded["180p.cmfv"])
    fragments[0].row = None
    with pytest.raises(BadMedia, match="apart"):
        encrypted(fragments[0], init.track, KEY, IV, sets_of(init))
