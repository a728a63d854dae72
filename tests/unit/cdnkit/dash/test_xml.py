"""XML that is well-formed whatever stands in it."""

from xml.etree import ElementTree

import pytest

from cdnkit.dash.xml import Xml


def test_xml_escapes_and_closes() -> None:
    xml = Xml()
    xml.open("a", b='<&">', c=None, d=3)
    xml.leaf("e")
    xml.words("g", "Ü & <b>")
    xml.close()
    root = ElementTree.fromstring(xml.text())
    assert root.attrib == {"b": '<&">', "d": "3"} and [one.tag for one in root] == ["e", "g"]
    assert root[1].text == "Ü & <b>"
    xml.open("f")
    with pytest.raises(AssertionError):
        xml.text()
