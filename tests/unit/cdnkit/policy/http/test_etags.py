"""Entity tags, in lists and compared (RFC 9110 §8.8.3)."""

from hypothesis import given
from hypothesis import strategies as st

from cdnkit.policy.http import etags


def test_entity_tags() -> None:
    assert etags.tag_list('"a,b", W/"c" , "d"') == ('"a,b"', 'W/"c"', '"d"')
    assert etags.tag_list(" * ") == ("*",)
    assert etags.tag_list("malformed") == ("malformed",)
    assert etags.weakly_equal('W/"a"', '"a"') and not etags.strongly_equal('W/"a"', '"a"')
    assert not etags.strongly_equal("malformed", "malformed") and etags.weakly_equal("malformed", "malformed")
    assert not etags.is_strong('w/"a"')  # the W is case-sensitive


@given(st.text(max_size=200))
def test_any_text_parses_without_an_error(text: str) -> None:
    etags.tag_list(text)
