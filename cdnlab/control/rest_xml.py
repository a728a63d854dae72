"""CloudFront's REST-XML: the elements that its API reads and writes, and its errors.

Source: the API model 2020-05-31 in botocore. Lists are `<Quantity>` beside `<Items>`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from starlette.responses import Response

DEEPEST = 50
"""At most this many elements within one another; a DistributionConfig has about ten."""

NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

Element = ElementTree.Element


@dataclass
class ApiError(Exception):
    """A refusal by the API; `code` is one that the operation's model lists, or one of IAM's."""

    code: str
    message: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def read(body: bytes, name: str) -> Element:
    """The document's root, which must be `name`, without its namespace. Raises `ApiError`."""
    if not body.strip():
        raise ApiError("MissingBody", "This operation requires a body. Ensure that the body is present.")
    try:
        # Safe with Python's expat (2.4 and later), which bounds the expansion of entities and fetches nothing.
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ApiError("MalformedXML", f"The XML that you provided is not well formed: {error}") from None
    level, depth = [root], 1
    while level := [child for element in level for child in element]:
        depth += 1
        if depth > DEEPEST:
            raise ApiError("MalformedXML", f"found elements nested deeper than {DEEPEST}, which the API never has.")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        raise ApiError("MalformedXML", f"found <{root.tag}>, wanted <{name}>")
    return root


def text_of(element: Element, name: str, default: str = "") -> str:
    """The text of a child."""
    return (element.findtext(name) or default).strip()


def items_of(element: Element | None, where: str) -> list[Element]:
    """The children of a list's `<Items>`. Raises `InconsistentQuantities` when `<Quantity>` is another number."""
    if element is None:
        return []
    items = list(element.find("Items") or ())
    quantity = text_of(element, "Quantity", "0")
    if quantity != str(len(items)):
        raise ApiError(
            "InconsistentQuantities", f"{where}: Quantity says {quantity}, and there are {len(items)} Items."
        )
    return items


def made(name: str, *children: "Element | tuple[str, Any]") -> Element:
    """An element with these children: elements, or (name, value) pairs for children that hold a text."""
    element = Element(name)
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        else:
            inner = ElementTree.SubElement(element, child[0])
            inner.text = _text(child[1])
    return element


def listed(name: str, items: list[Element], *more: tuple[str, Any]) -> Element:
    """A list element: `more`, Quantity, and Items if there are any."""
    element = made(name, *more, ("Quantity", len(items)))
    if items:
        element.append(made("Items", *items))
    return element


def moment(at: float) -> str:
    """Unix seconds as the API writes instants."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def response(root: Element, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    root.set("xmlns", NAMESPACE)
    return Response(_serialised(root), status, headers, media_type="text/xml")


def refusal(error: ApiError, request_id: str) -> Response:
    """An error response, in the shape from which botocore reads code and message."""
    root = made(
        "ErrorResponse",
        made("Error", ("Type", "Sender"), ("Code", error.code), ("Message", error.message)),
        ("RequestId", request_id),
    )
    root.set("xmlns", NAMESPACE)
    return Response(_serialised(root), error.status, {"x-amzn-RequestId": request_id}, media_type="text/xml")


def _serialised(root: Element) -> bytes:
    body: bytes = ElementTree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
