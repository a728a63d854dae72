"""CloudFront's managed policies that cdnlab carries out, by name.

Source: "Use managed cache policies", "... origin request policies", "... response headers policies", with the ids
cross-checked in aws-cdk-lib 2.276.0. Left out, and refused by name: policies with parts that cdnlab does not have
(viewer headers that CloudFront makes up), and policies whose values were not verified (UseOriginCacheControlHeaders and
the like).
"""

from cdnkit.policy.rules.profile import Forwarding
from cdnkit.policy.rules.response_headers import Cors, Hsts, ResponseHeaders, Security
from cdnkit.policy.rules.service import Key, Ttl

_YEAR = 31_536_000.0
_DAY = 86_400.0

CACHE_POLICIES: dict[str, tuple[Ttl, Key]] = {
    # 2e54312d-136d-493c-8eb9-b001f22f67d2
    "Amplify": (
        Ttl(min=2.0, default=2.0, max=600.0),
        Key(
            query="all",
            cookies="all",
            headers=("authorization", "cloudfront-viewer-country", "host"),
            accept_encoding=("gzip", "br"),
        ),
    ),
    # 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
    "CachingDisabled": (Ttl(min=0.0, default=0.0, max=0.0), Key(query="none")),
    # 658327ea-f89d-4fab-a63d-7e88639e58f6
    "CachingOptimized": (Ttl(min=1.0, default=_DAY, max=_YEAR), Key(query="none", accept_encoding=("gzip", "br"))),
    # b2884449-e4de-46a7-ac36-70bc7f1ddd6d
    "CachingOptimizedForUncompressedObjects": (Ttl(min=1.0, default=_DAY, max=_YEAR), Key(query="none")),
    # 08627262-05a9-4f76-9ded-b50ca2e3a84f
    "Elemental-MediaPackage": (
        Ttl(min=0.0, default=_DAY, max=_YEAR),
        Key(query=("aws.manifestfilter", "start", "end", "m"), headers=("origin",), accept_encoding=("gzip",)),
    ),
}

ORIGIN_REQUEST_POLICIES: dict[str, Forwarding] = {
    # 216adef6-5c7f-47e4-b989-5492eafa07d3
    "AllViewer": Forwarding(headers=None, cookies=True, query=True, host=True),
    # b689b0a8-53d0-40ab-baf2-68738e2966ac
    "AllViewerExceptHostHeader": Forwarding(headers=None, cookies=True, query=True),
    # 59781a5b-3903-41f3-afcb-af62929ccde1
    "CORS-CustomOrigin": Forwarding(headers=frozenset({"origin"})),
    # 88a5eaf4-2fd4-4709-b370-b4c650ea3fcf
    "CORS-S3Origin": Forwarding(
        headers=frozenset({"origin", "access-control-request-headers", "access-control-request-method"})
    ),
    # bf0718e1-ba1e-49d1-88b1-f726733018ae
    "HostHeaderOnly": Forwarding(host=True),
    # acba4595-bd28-49b8-b9fe-13317c0390fa
    "UserAgentRefererHeaders": Forwarding(headers=frozenset({"user-agent", "referer"})),
}

_SIMPLE = Cors(origins=("*",), override=False)
# Its page has the three fields on responses to OPTIONS; "Understand response headers policies" has the exposed ones on
# all responses to CORS requests. Here as the latter: on a preflight alone nobody would read them (unverified).
_WITH_PREFLIGHT = Cors(
    origins=("*",),
    methods=("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"),
    expose=("*",),
    override=False,
)
_SECURITY = Security(
    referrer_policy="strict-origin-when-cross-origin",
    strict_transport_security=Hsts(max_age=_YEAR),
    content_type_options=True,
    frame_options="SAMEORIGIN",
    xss_protection="1; mode=block",
    override=("X-Content-Type-Options",),
)

RESPONSE_HEADERS_POLICIES: dict[str, ResponseHeaders] = {
    # 60669652-455b-4ae9-85a4-c4c02393f86c
    "SimpleCORS": ResponseHeaders(cors=_SIMPLE),
    # 5cc3b908-e619-4b99-88e5-2cf7f45965bd
    "CORS-With-Preflight": ResponseHeaders(cors=_WITH_PREFLIGHT),
    # 67f7725c-6f97-4210-82d7-5512b31e9d03
    "SecurityHeadersPolicy": ResponseHeaders(security=_SECURITY),
    # e61eb60c-9c35-4d20-a928-2b84e02af89c
    "CORS-and-SecurityHeadersPolicy": ResponseHeaders(cors=_SIMPLE, security=_SECURITY),
    # eaab4381-ed33-4a86-88ca-d9558dc6cd63
    "CORS-with-preflight-and-SecurityHeadersPolicy": ResponseHeaders(cors=_WITH_PREFLIGHT, security=_SECURITY),
}
