"""DistributionConfig in cdnlab's words: what each member becomes, and what is refused under its name."""

import copy
from typing import Any

import pytest

from cdnkit.policy.rules.service import ErrorPage, Geo
from cdnkit.vendors.cloudfront.distribution import NotHonoured, translate

CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"


def config(**default: Any) -> dict[str, Any]:
    """The smallest config that is good; `default` goes to its default behavior."""
    return {
        "CallerReference": "r",
        "Comment": "",
        "Enabled": "true",
        "Origins": {"Quantity": "1", "Items": [origin("lab", "9000")]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "lab", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": CACHING_OPTIMIZED, **default,
        },
    }  # fmt: skip


def origin(id: str, port: str, **more: Any) -> dict[str, Any]:
    custom = {"HTTPPort": port, "HTTPSPort": "443", "OriginProtocolPolicy": "http-only"}
    return {"Id": id, "DomainName": "127.0.0.1", "CustomOriginConfig": custom, **more}


def items(*values: Any) -> dict[str, Any]:
    return {"Quantity": str(len(values)), "Items": list(values)}


def test_the_smallest() -> None:
    made = translate(config())
    (behavior,) = made.behaviors
    assert (behavior.path, behavior.cache_policy, behavior.methods) == ("*", "CachingOptimized", "GET, HEAD")
    assert made.origins[0].url == "http://127.0.0.1:9000"
    assert (made.origins[0].connect, made.origins[0].attempts, made.origins[0].read) == (10.0, 3, 30.0)


def test_everything_that_is_honoured() -> None:
    given = config()
    legacy = {
        "PathPattern": "*.m3u8", "TargetOriginId": "both", "ViewerProtocolPolicy": "allow-all", "MinTTL": "0",
        "DefaultTTL": "2", "MaxTTL": "4", "AllowedMethods": items("GET", "HEAD", "OPTIONS") | {"CachedMethods": items("HEAD", "GET")},
        "ForwardedValues": {
            "QueryString": "true", "Headers": items("Origin"),
            "Cookies": {"Forward": "whitelist", "WhitelistedNames": items("s")},
        },
    }  # fmt: skip
    given["DefaultCacheBehavior"]["TargetOriginId"] = "both"
    given["Origins"] = items(
        origin("lab", "9000", ConnectionTimeout="2", ConnectionAttempts="1"), origin("other", "9100")
    )
    criteria = {"StatusCodes": items("500", "503")}
    given["OriginGroups"] = items(
        {"Id": "both", "FailoverCriteria": criteria, "Members": items({"OriginId": "lab"}, {"OriginId": "other"})}
    )
    given["CacheBehaviors"] = items(legacy)
    given["Restrictions"] = {"GeoRestriction": {"RestrictionType": "blacklist", **items("KP")}}
    given["CustomErrorResponses"] = items(
        {"ErrorCode": "403", "ResponsePagePath": "/403.html", "ResponseCode": "200"},
        {"ErrorCode": "404", "ErrorCachingMinTTL": "1"},
    )
    made = translate(given)
    playlists, rest = made.behaviors
    assert (playlists.path, playlists.methods) == ("*.m3u8", "GET, HEAD, OPTIONS")
    assert (playlists.ttl.min, playlists.ttl.default, playlists.ttl.max) == (0.0, 2.0, 4.0)
    assert (playlists.key.query, playlists.key.cookies, playlists.key.headers) == ("all", ("s",), ("Origin",))
    assert playlists.geo == rest.geo == Geo(deny=("KP",))
    assert playlists.error_ttls == rest.error_ttls == {404: 1.0}
    assert made.error_pages == (ErrorPage(status=403, page="/403.html", response_status=200),)
    assert [server.url for server in made.origins] == ["http://127.0.0.1:9000", "http://127.0.0.1:9100"]
    assert (made.origins[0].connect, made.origins[0].attempts, made.statuses) == (2.0, 1, (500, 503))


SEVEN = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
METHODS = [  # allowed, cached, what becomes of them ("Cache behavior settings")
    (("GET", "HEAD"), (), ("GET, HEAD", "GET, HEAD")),
    (("GET", "HEAD", "OPTIONS"), ("GET", "HEAD"), ("GET, HEAD, OPTIONS", "GET, HEAD")),
    (("GET", "HEAD", "OPTIONS"), ("OPTIONS", "GET", "HEAD"), ("GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS")),
    (SEVEN, ("GET", "HEAD", "OPTIONS"), ("all", "GET, HEAD, OPTIONS")),
    (("GET", "HEAD"), ("GET", "HEAD", "OPTIONS"), None),
    (SEVEN, ("GET", "HEAD", "PUT"), None),
    (("GET", "POST"), (), None),
]


@pytest.mark.parametrize(("allowed", "cached", "become"), METHODS)
def test_allowed_and_cached_methods(
    allowed: tuple[str, ...], cached: tuple[str, ...], become: tuple[str, str] | None
) -> None:
    given = config(AllowedMethods=items(*allowed) | ({"CachedMethods": items(*cached)} if cached else {}))
    if become is None:
        with pytest.raises(NotHonoured, match="AllowedMethods"):
            translate(given)
        return
    (behavior,) = translate(given).behaviors
    assert (behavior.methods, behavior.cached_methods) == become


PROTOCOLS = [  # OriginProtocolPolicy, the origin's URL with HTTPPort 9000 and HTTPSPort 443
    ("http-only", "http://127.0.0.1:9000"),
    ("https-only", "https://127.0.0.1:443"),
    ("match-viewer", "http://127.0.0.1:9000"),  # nodes ask each other and the origin over HTTP
]


@pytest.mark.parametrize(("policy", "url"), PROTOCOLS)
def test_protocol_to_the_origin(policy: str, url: str) -> None:
    given = config()
    given["Origins"]["Items"][0]["CustomOriginConfig"]["OriginProtocolPolicy"] = policy
    assert translate(given).origins[0].url == url
    given["Origins"]["Items"][0]["CustomOriginConfig"]["OriginHttpVersion"] = "http2"
    with pytest.raises(NotHonoured, match="OriginHttpVersion"):
        translate(given)


IDS = [  # "Use managed cache policies" and its kin; cross-checked in aws-cdk-lib: member, id, name (None: not carried out)
    ("CachePolicyId", "2e54312d-136d-493c-8eb9-b001f22f67d2", "Amplify"),
    ("CachePolicyId", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "CachingDisabled"),
    ("CachePolicyId", "658327ea-f89d-4fab-a63d-7e88639e58f6", "CachingOptimized"),
    ("CachePolicyId", "b2884449-e4de-46a7-ac36-70bc7f1ddd6d", "CachingOptimizedForUncompressedObjects"),
    ("CachePolicyId", "08627262-05a9-4f76-9ded-b50ca2e3a84f", "Elemental-MediaPackage"),
    ("CachePolicyId", "83da9c7e-98b4-4e11-a168-04f0df8e2c65", None),  # UseOriginCacheControlHeaders
    ("CachePolicyId", "4cc15a8a-d715-48a4-82b8-cc0b614638fe", None),  # ...-QueryStrings
    ("OriginRequestPolicyId", "216adef6-5c7f-47e4-b989-5492eafa07d3", "AllViewer"),
    ("OriginRequestPolicyId", "b689b0a8-53d0-40ab-baf2-68738e2966ac", "AllViewerExceptHostHeader"),
    ("OriginRequestPolicyId", "59781a5b-3903-41f3-afcb-af62929ccde1", "CORS-CustomOrigin"),
    ("OriginRequestPolicyId", "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf", "CORS-S3Origin"),
    ("OriginRequestPolicyId", "acba4595-bd28-49b8-b9fe-13317c0390fa", "UserAgentRefererHeaders"),
    ("OriginRequestPolicyId", "33f36d7e-f396-46d9-90e0-52428a34d9dc", None),  # AllViewerAndCloudFrontHeaders-2022-06
    ("OriginRequestPolicyId", "775133bc-15f2-49f9-abea-afb2e0bf67d2", None),  # Elemental-MediaTailor-...
    ("ResponseHeadersPolicyId", "60669652-455b-4ae9-85a4-c4c02393f86c", "SimpleCORS"),
    ("ResponseHeadersPolicyId", "5cc3b908-e619-4b99-88e5-2cf7f45965bd", "CORS-With-Preflight"),
    ("ResponseHeadersPolicyId", "67f7725c-6f97-4210-82d7-5512b31e9d03", "SecurityHeadersPolicy"),
    ("ResponseHeadersPolicyId", "e61eb60c-9c35-4d20-a928-2b84e02af89c", "CORS-and-SecurityHeadersPolicy"),
    (
        "ResponseHeadersPolicyId", "eaab4381-ed33-4a86-88ca-d9558dc6cd63",
        "CORS-with-preflight-and-SecurityHeadersPolicy",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("member", "id", "name"), IDS, ids=[row[1][:8] for row in IDS])
def test_managed_policies_by_id(member: str, id: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(NotHonoured, match=member):
            translate(config(**{member: id}))
        return
    (behavior,) = translate(config(**{member: id})).behaviors
    assert name in (behavior.cache_policy, behavior.origin_request_policy, behavior.response_headers_policy)


WAITS = [  # what an origin says, then connect, attempts, read; None: refused. Origin, CustomOriginConfig of the API model
    ({}, {}, (10.0, 3, 30.0)),
    ({"ConnectionTimeout": "1", "ConnectionAttempts": "1"}, {"OriginReadTimeout": "1"}, (1.0, 1, 1.0)),
    ({"ConnectionTimeout": "10", "ConnectionAttempts": "3"}, {"OriginReadTimeout": "120"}, (10.0, 3, 120.0)),
    ({}, {"OriginKeepaliveTimeout": "120"}, (10.0, 3, 30.0)),
    ({"ConnectionTimeout": "0"}, {}, None),
    ({"ConnectionTimeout": "11"}, {}, None),
    ({"ConnectionAttempts": "0"}, {}, None),
    ({"ConnectionAttempts": "4"}, {}, None),
    ({}, {"OriginReadTimeout": "0"}, None),
    ({}, {"OriginReadTimeout": "121"}, None),
    ({"ResponseCompletionTimeout": "60"}, {}, None),  # cdnlab has none for a whole response
]


@pytest.mark.parametrize(("top", "custom", "waits"), WAITS)
def test_how_long_an_origin_is_waited_for(
    top: dict[str, str], custom: dict[str, str], waits: tuple[float, int, float] | None
) -> None:
    given = config()
    given["Origins"] = items(origin("lab", "9000", **top))
    given["Origins"]["Items"][0]["CustomOriginConfig"] |= custom
    if waits is None:
        with pytest.raises(NotHonoured, match=next(iter(top | custom))):
            translate(given)
        return
    (server,) = translate(given).origins
    assert (server.connect, server.attempts, server.read) == waits


def test_response_headers_policies_by_id() -> None:
    (behavior,) = translate(config(ResponseHeadersPolicyId="5cc3b908-e619-4b99-88e5-2cf7f45965bd")).behaviors
    assert behavior.response_headers_policy == "CORS-With-Preflight"
    with pytest.raises(NotHonoured) as error:
        translate(config(ResponseHeadersPolicyId="0"))
    assert error.value.code == "NoSuchResponseHeadersPolicy" and "SecurityHeadersPolicy" in str(error.value)


@pytest.mark.parametrize("protocol", ["allow-all", "https-only", "redirect-to-https"])
def test_a_viewer_protocol_policy_where_viewers_can_come_over_https(protocol: str) -> None:
    (behavior,) = translate(config(ViewerProtocolPolicy=protocol), https=True).behaviors
    assert behavior.viewer_protocol == protocol


def added(*rows: tuple[str, str]) -> dict[str, Any]:
    """Origins: one, with these custom headers."""
    fields = [{"HeaderName": name, "HeaderValue": value} for name, value in rows]
    return items(origin("lab", "9000", CustomHeaders=items(*fields)))


LEGACY = {"PathPattern": "/a", "TargetOriginId": "lab", "ForwardedValues": {"Cookies": {"Forward": "none"}}}
NAMES = items(*(f"n{number}" for number in range(11)))


def forwarding(**values: Any) -> dict[str, Any]:
    return {**LEGACY, "ForwardedValues": values}


def test_custom_headers_of_an_origin_and_of_both_in_a_group() -> None:
    given = config()
    given["Origins"] = added(("X-Origin-Verify", "s3cret"), ("x-lab", ""))
    assert translate(given).origins[0].headers == {"X-Origin-Verify": "s3cret", "x-lab": ""}
    given["Origins"] = items(*given["Origins"]["Items"], origin("other", "9100"))
    given["OriginGroups"] = items({"Id": "both", "Members": items({"OriginId": "lab"}, {"OriginId": "other"})})
    given["DefaultCacheBehavior"]["TargetOriginId"] = "both"
    with pytest.raises(NotHonoured, match="CustomHeaders"):
        translate(given)


def failing_over(*statuses: str) -> dict[str, Any]:
    return items({"Id": "g", "FailoverCriteria": {"StatusCodes": items(*statuses)}})


REFUSED = [  # where, value, code, the name that is told
    ("DefaultRootObject", "index.html", "InvalidArgument", "DefaultRootObject"),
    ("WebACLId", "arn:x", "InvalidArgument", "WebACLId"),
    ("Logging", {"Enabled": "true", "Bucket": "b"}, "InvalidArgument", "Logging"),
    ("ViewerCertificate", {"ACMCertificateArn": "arn:x"}, "InvalidArgument", "ViewerCertificate.ACMCertificateArn"),
    ("CacheTagConfig", {"HeaderName": "x-tags"}, "InvalidArgument", "CacheTagConfig"),
    ("Origins", items(origin("lab", "9000", OriginPath="/p")), "InvalidArgument", "OriginPath"),
    ("Origins", added(("Host", "a")), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(("X-Edge-a", "a")), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(("A", "a"), ("a", "b")), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(("a", "a"), ("a", "b")), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(("a", "b\n")), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(("a", "b" * 1784)), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(*((f"a{n}", "b" * 1700) for n in range(7))), "InvalidArgument", "CustomHeaders"),
    ("Origins", added(*((f"a{n}", "b") for n in range(31))), "TooManyOriginCustomHeaders", "at most 30"),
    ("Origins", items(*(origin(f"o{n}", "9000") for n in range(101))), "TooManyOrigins", "at most 100"),
    ("OriginGroups", items({"Id": "g", "Members": items({"OriginId": "lab"})}), "InvalidArgument", "two origins"),
    (
        "OriginGroups",
        items({"Id": "g", "SelectionCriteria": "media-quality-based", "Members": items({"OriginId": "lab"})}),
        "InvalidArgument", "SelectionCriteria",
    ),
    ("OriginGroups", failing_over("500", "200"), "InvalidArgument", "StatusCodes: found '200', wanted some of 400, 403"),
    ("OriginGroups", failing_over("nan"), "InvalidArgument", "StatusCodes: found 'nan'"),
    ("OriginGroups", items(*({"Id": f"g{n}"} for n in range(11))), "TooManyOriginGroupsPerDistribution", "at most 10"),
    ("CacheBehaviors", items(*({"PathPattern": f"/{n}"} for n in range(76))), "TooManyCacheBehaviors", "at most 75"),
    ("CacheBehaviors", items({**LEGACY, "PathPattern": "/" * 256}), "InvalidArgument", "PathPattern"),
    ("CacheBehaviors", items(forwarding(Headers=items("*"))), "InvalidArgument", 'cdnlab cannot honour "*"'),
    ("CacheBehaviors", items(forwarding(Headers=NAMES)), "TooManyHeadersInForwardedValues", "at most 10"),
    ("CacheBehaviors", items(forwarding(Cookies={"Forward": "whitelist", "WhitelistedNames": NAMES})), "TooManyCookieNamesInWhiteList", "at most 10"),
    # What cdn.toml refuses, the API refuses.
    ("CacheBehaviors", items(forwarding(Headers=items("CloudFront-Is-Mobile-Viewer"))), "InvalidArgument", "CloudFront-Is-Mobile-Viewer"),
    ("CacheBehaviors", items(forwarding(Headers=items("X-Kind:"))), "InvalidArgument", "X-Kind:"),
    ("CacheBehaviors", items(forwarding(Headers=items("Cookie"))), "InvalidArgument", "Headers: found Cookie"),
    ("CacheBehaviors", items(forwarding(Headers=items("Origin", "Upgrade"))), "InvalidArgument", "Headers: found Upgrade"),
    ("CacheBehaviors", items(forwarding(Headers=items("X-Amz-Cf-Id"))), "InvalidArgument", "Headers: found X-Amz-Cf-Id"),
    ("CacheBehaviors", items(forwarding(Headers=items("X-Edge-Secret"))), "InvalidArgument", "Headers: found X-Edge-Secret"),
    ("CacheBehaviors", items({**LEGACY, "PathPattern": "*"}), "InvalidArgument", "* can never match: * comes first"),
    ("CacheBehaviors", items({**LEGACY, "PathPattern": "/a/*"}, {**LEGACY, "PathPattern": "/a/b*"}), "InvalidArgument", "/a/b* can never match"),
    ("OriginGroups", items({"Id": "g", "FailoverCriteria": {"StatusCodes": items("418")}}), "InvalidArgument", "found '418', wanted some of 400"),
    ("OriginGroups", items({"Id": "g", "FailoverCriteria": {"StatusCodes": items("often")}}), "InvalidArgument", "StatusCodes"),
    # What says nothing that could be carried out is not taken for something else.
    ("CacheBehaviors", items(forwarding(Cookies={"Forward": "some"})), "InvalidArgument", "Forward: found 'some'"),
    ("CacheBehaviors", items(forwarding(QueryString="yes")), "InvalidArgument", "QueryString: found 'yes'"),
    ("CacheBehaviors", items({**LEGACY, "DefaultTTL": "-5"}), "InvalidTTLOrder", "not a negative one"),
    ("CacheBehaviors", items({**LEGACY, "MaxTTL": "nan"}), "InvalidArgument", "MaxTTL: found 'nan'"),
    ("DefaultCacheBehavior.Compress", "on", "InvalidArgument", "Compress: found 'on'"),
    ("Enabled", "maybe", "InvalidArgument", "Enabled: found 'maybe'"),
    ("Restrictions", {"GeoRestriction": {"RestrictionType": "greylist", **items("KP")}}, "InvalidArgument", "RestrictionType"),
    ("Origins", items(origin("lab", "x")), "InvalidOrigin", "DomainName"),
    ("Origins", {"Quantity": "2", "Items": [origin("lab", "9000")]}, "InconsistentQuantities", "Origins"),
    ("DefaultCacheBehavior.TargetOriginId", "nobody", "NoSuchOrigin", "nobody"),
    ("DefaultCacheBehavior.CachePolicyId", "0", "NoSuchCachePolicy", "CachePolicyId"),
    ("DefaultCacheBehavior.ViewerProtocolPolicy", "https-only", "InvalidArgument", "ViewerProtocolPolicy"),
    ("DefaultCacheBehavior.TrustedKeyGroups", {"Enabled": "true", **items("k")}, "InvalidArgument", "TrustedKeyGroups"),
    ("DefaultCacheBehavior.FunctionAssociations", items({"FunctionARN": "a"}), "InvalidArgument", "FunctionAssociations"),
    ("DefaultCacheBehavior.SmoothStreaming", "true", "InvalidArgument", "SmoothStreaming"),
    ("DefaultCacheBehavior.MinTTL", "1", "InvalidArgument", "MinTTL"),  # beside a cache policy
    ("CustomErrorResponses", items({"ErrorCode": "404", "ErrorCachingMinTTL": "-1"}), "InvalidArgument", "ErrorCachingMinTTL"),
    ("CustomErrorResponses", items({"ErrorCode": "404", "ErrorCachingMinTTL": "nan"}), "InvalidArgument", "wanted a number"),
    ("CustomErrorResponses", items({"ErrorCode": "402"}), "InvalidErrorCode", "ErrorCode"),
    ("Restrictions", {"GeoRestriction": {"RestrictionType": "whitelist", **items("xx")}}, "InvalidGeoRestrictionParameter", "GeoRestriction"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "value", "code", "named"), REFUSED)
def test_what_is_refused_under_its_name(where: str, value: Any, code: str, named: str) -> None:
    given = copy.deepcopy(config())
    *way, last = where.split(".")
    inner = given
    for step in way:
        inner = inner[step]
    inner[last] = value
    with pytest.raises(NotHonoured) as error:
        translate(given)
    assert error.value.code == code
    assert named in str(error.value)


def test_ttls_out_of_order() -> None:
    given = config(CachePolicyId="", MinTTL="5", MaxTTL="1")
    with pytest.raises(NotHonoured) as error:
        translate(given)
    assert error.value.code == "InvalidTTLOrder"


def test_what_says_nothing_is_no_matter() -> None:
    nothing = {
        "TrustedSigners": {"Enabled": "false", "Quantity": "0"}, "SmoothStreaming": "false", "FieldLevelEncryptionId": "",
        "LambdaFunctionAssociations": {"Quantity": "0"}, "GrpcConfig": {"Enabled": "false"},
    }  # fmt: skip
    assert translate(config(**nothing)) == translate(config())
