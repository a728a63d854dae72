"""Languages: from what media files say (ISO 639-2) to what playlists say (BCP 47), and what speakers call them.

An `mdhd` box has three letters of ISO 639-2. BCP 47 wants the shortest code a language has (RFC 5646 2.2.1), so `eng`
is `en` and `haw`, which has no shorter one, stays.
"""

import re

_TAG = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,7}")
_UNKNOWN = frozenset({"und", "mis", "zxx", "mul"})
"""Undetermined, uncoded, no language, several: none that a viewer could choose by."""

_CODES = """
aar:aa abk:ab afr:af aka:ak alb:sq amh:am ara:ar arg:an arm:hy asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm
baq:eu bel:be ben:bn bis:bi bod:bo bos:bs bre:br bul:bg bur:my cat:ca ces:cs cha:ch che:ce chi:zh chu:cu chv:cv
cor:kw cos:co cre:cr cym:cy cze:cs dan:da deu:de div:dv dut:nl dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee
fao:fo fas:fa fij:fj fil:fil fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka ger:de gla:gd gle:ga glg:gl glv:gv gre:el
grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig ice:is ido:io iii:ii iku:iu
ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr kaz:kk khm:km kik:ki
kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg
mac:mk mah:mh mal:ml mao:mi mar:mr may:ms mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr
nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa pli:pi
pol:pl por:pt pus:ps que:qu roh:rm ron:ro rum:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se
smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt
tel:te tgk:tg tgl:tl tha:th tib:bo tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz
ven:ve vie:vi vol:vo wel:cy wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
_SHORTER = dict(pair.split(":") for pair in _CODES.split())

_OWN_NAMES = {
    "ar": "العربية", "bg": "български", "ca": "català", "cs": "čeština", "cy": "Cymraeg", "da": "dansk",
    "de": "Deutsch", "el": "Ελληνικά", "en": "English", "es": "español", "et": "eesti", "eu": "euskara",
    "fa": "فارسی", "fi": "suomi", "fr": "français", "ga": "Gaeilge", "gl": "galego", "he": "עברית", "hi": "हिन्दी",
    "hr": "hrvatski", "hu": "magyar", "id": "Indonesia", "is": "íslenska", "it": "italiano", "ja": "日本語",
    "ko": "한국어", "lt": "lietuvių", "lv": "latviešu", "ms": "Melayu", "nb": "norsk bokmål", "nl": "Nederlands",
    "nn": "norsk nynorsk", "no": "norsk", "pl": "polski", "pt": "português", "ro": "română", "ru": "русский",
    "sk": "slovenčina", "sl": "slovenščina", "sq": "shqip", "sr": "српски", "sv": "svenska", "th": "ไทย",
    "tr": "Türkçe", "uk": "українська", "vi": "Tiếng Việt", "zh": "中文",
}  # fmt: skip


def language_tag(said: str) -> str:
    """The BCP 47 tag of a language that is said by ISO 639-2 letters or by a tag; "" where it says none."""
    primary, dash, rest = said.partition("-")
    primary = primary.lower()
    if not _TAG.fullmatch(said) or primary in _UNKNOWN:
        return ""
    return f"{_SHORTER.get(primary, primary)}{dash}{rest}"


def own_name(tag: str) -> str:
    """What its speakers call it, as a NAME should be in its LANGUAGE (HLS draft 4.4.6.1); else the tag."""
    name = _OWN_NAMES.get(tag.partition("-")[0], "")
    if not name:
        return tag
    return f"{name} ({tag})" if "-" in tag else name
