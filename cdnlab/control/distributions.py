"""Distributions: the API can create one, which takes the place of the settings file.

A created distribution that is enabled is in force at every node. Once it is disabled or deleted, the settings file is
in force again. Its status is `InProgress` until every node serves by the new rules, then `Deployed`.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cdnkit.vendors.cloudfront.distribution import NotHonoured, Translated, translate
from cdnlab.control.rest_xml import ApiError, Element, made, moment, text_of

IN_PROGRESS, DEPLOYED = "InProgress", "Deployed"

FreshId = Callable[[str], str]


@dataclass
class Distribution:
    """A distribution that was created."""

    id: str
    config: Element
    """`<DistributionConfig>` as it was sent."""
    translated: Translated
    etag: str
    modified_at: float
    status: str = IN_PROGRESS
    versions: int = field(default=1)

    @property
    def enabled(self) -> bool:
        return is_enabled(self.config)


class Distributions:
    """Holds at most one distribution."""

    def __init__(self, fresh_id: FreshId, *, https: bool) -> None:
        """`https`: every edge of the lab has `listen_tls`."""
        self._fresh_id = fresh_id
        self._https = https
        self.created: Distribution | None = None

    def create(self, config: Element, now: float) -> tuple[Distribution, bool]:
        """The distribution, and whether it is new: the same config with the same reference returns the earlier one."""
        translated = translated_from(config, https=self._https)
        if self.created is not None:
            if text_of(config, "CallerReference") != text_of(self.created.config, "CallerReference"):
                raise ApiError("TooManyDistributions", f"cdnlab has at most one, and {self.created.id} exists.")
            if tree_of(config) != tree_of(self.created.config):
                raise ApiError("DistributionAlreadyExists", "CallerReference: used before, with another config.", 409)
            return self.created, False
        if not text_of(config, "CallerReference"):
            raise ApiError("InvalidArgument", "CallerReference: wanted a text of your own.")
        self.created = Distribution(self._fresh_id("E"), config, translated, self._fresh_id("E"), now)
        return self.created, True

    def get(self, id: str) -> Distribution:
        if self.created is None or self.created.id != id:
            raise ApiError("NoSuchDistribution", "The specified distribution does not exist.", 404)
        return self.created

    def matched(self, id: str, etag: str | None) -> Distribution:
        """The distribution. Raises `ApiError` if `etag` is not its current version."""
        found = self.get(id)
        _matched(found, etag)
        return found

    def update(self, id: str, config: Element, etag: str | None, now: float) -> Distribution:
        found = self.matched(id, etag)
        if text_of(config, "CallerReference") != text_of(found.config, "CallerReference"):
            raise ApiError("IllegalUpdate", "CallerReference: it cannot be changed.")
        found.translated = translated_from(config, https=self._https)
        found.config, found.etag, found.modified_at = config, self._fresh_id("E"), now
        found.status = IN_PROGRESS
        found.versions += 1
        return found

    def delete(self, id: str, etag: str | None) -> None:
        found = self.matched(id, etag)
        if found.enabled or found.status != DEPLOYED:
            raise ApiError("DistributionNotDisabled", "wanted a disabled distribution whose status is Deployed.", 409)
        self.created = None


def _matched(found: Distribution, etag: str | None) -> None:
    if not etag:
        raise ApiError("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
    if etag != found.etag:
        raise ApiError("PreconditionFailed", "If-Match: the distribution has changed since.", 412)


def is_enabled(config: Element) -> bool:
    return text_of(config, "Enabled").lower() == "true"


def translated_from(config: Element, *, https: bool) -> Translated:
    """A `<DistributionConfig>` translated into cdnlab's settings. Raises `ApiError`."""
    tree = tree_of(config)
    try:
        return translate(tree if isinstance(tree, Mapping) else {}, https=https)
    except NotHonoured as error:
        raise ApiError(error.code, str(error), error.status) from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # A member has another type than in the API's model, which is the client's fault.
        raise ApiError("MalformedXML", f"DistributionConfig: {error}") from None


def tree_of(element: Element) -> Any:
    """A config in the form that `cdnkit.vendors.cloudfront.distribution` reads: dicts, texts, `Items` as lists."""
    if element.tag == "Items":
        return [tree_of(child) for child in element]
    if len(element):
        return {child.tag: tree_of(child) for child in element}
    return (element.text or "").strip()


def described(one: Distribution, domain: str, invalidations: int) -> Element:
    """`<Distribution>`."""
    return made(
        "Distribution", *_facts(one, domain), ("InProgressInvalidationBatches", invalidations), deepcopy(one.config)
    )


_SUMMARY: list[tuple[str, Element]] = [
    ("Aliases", made("Aliases", ("Quantity", 0))),
    ("Origins", made("Origins")),
    ("OriginGroups", made("OriginGroups", ("Quantity", 0))),
    ("DefaultCacheBehavior", made("DefaultCacheBehavior")),
    ("CacheBehaviors", made("CacheBehaviors", ("Quantity", 0))),
    ("CustomErrorResponses", made("CustomErrorResponses", ("Quantity", 0))),
    ("Comment", made("Comment")),
    ("PriceClass", made("PriceClass")),
    ("Enabled", made("Enabled")),
    ("ViewerCertificate", made("ViewerCertificate", ("CloudFrontDefaultCertificate", True))),
    ("Restrictions", made("Restrictions", made("GeoRestriction", ("RestrictionType", "none"), ("Quantity", 0)))),
    ("WebACLId", made("WebACLId")),
    ("HttpVersion", made("HttpVersion")),
    ("IsIPV6Enabled", made("IsIPV6Enabled")),
]
"""Members of a config that a summary repeats, each with its default for a config without it."""


def summary(one: Distribution, domain: str) -> Element:
    """`<DistributionSummary>`."""
    members = []
    for name, absent in _SUMMARY:
        found = one.config.find(name)
        members.append(deepcopy(absent if found is None else found))
    return made("DistributionSummary", *_facts(one, domain), *members, ("Staging", False))


def _facts(one: Distribution, domain: str) -> list[tuple[str, Any]]:
    return [
        ("Id", one.id),
        ("ARN", f"arn:aws:cloudfront::000000000000:distribution/{one.id}"),
        ("Status", one.status),
        ("LastModifiedTime", moment(one.modified_at)),
        ("DomainName", domain),
    ]
