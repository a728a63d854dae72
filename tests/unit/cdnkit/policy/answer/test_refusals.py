"""Refusals are prepared, and nobody can tell: each says all that one made by itself would."""

from cdnkit.policy import Behavior, EdgeMachine, Headers, RequestHead, Service
from cdnkit.policy.answer.refusals import MOST_REFUSALS
from cdnkit.policy.outcomes import Outcome, Refusal, RefusalKind
from cdnkit.policy.plan import Refuse
from cdnkit.policy.rules.response_headers import Cors, ResponseHeaders
from cdnkit.vendors import PROFILES

START = 1_795_000_000.25
GET = RequestHead("GET", "https", "h", "/a", None, Headers([("origin", "https://a.example")]))
REFUSALS = [
    Refusal(RefusalKind.TOKEN, 403, "token: expired"),
    Refusal(RefusalKind.TOKEN, 401, "token: expired"),
    Refusal(RefusalKind.TOKEN, 403, "token: expired", page=("application/xml", "<Error/>")),
    Refusal(RefusalKind.GEO, 403, "geo: KP is denied"),
    Refusal(RefusalKind.GEO, 403, "token: expired"),  # no two kinds have one reason; if they had
    Refusal(RefusalKind.LIMIT, 414, "limit: " + "x" * 2_000),
    Refusal(RefusalKind.PREFLIGHT, 204, "preflight: answered here"),
    Refusal(RefusalKind.RATE, 429, "rate: more", words="too many"),
]


def machine(profile: str = "rfc9111", policy: str = "plain") -> EdgeMachine:
    policies = {"open": ResponseHeaders(cors=Cors()), "plain": ResponseHeaders(remove=("date",), set={"x": "y"})}
    behavior = Behavior(path="*", response_headers_policy=policy)
    return EdgeMachine(
        Service.model_validate({"name": "fra", "behaviors": (behavior,), "response_headers": policies}),
        PROFILES[profile],
    )


def test_each_says_what_one_made_by_itself_would() -> None:
    for profile in PROFILES:
        for policy in ("plain", "open"):
            prepared, fresh = (machine(profile, policy).state for _ in range(2))
            rule, own_rule = (state.matcher.match("/a") for state in (prepared, fresh))
            for tick in range(6):
                now = START + tick * 0.3
                for refusal in REFUSALS:
                    got = prepared.responder.refused(refusal, rule, GET, now)
                    wanted = fresh.responder.refusal(
                        refusal.status, refusal.reason, own_rule, GET, Outcome.REFUSED, now, refusal.words, refusal.page,
                        kind=refusal.kind,
                    )  # fmt: skip
                    assert (got.status, got.reason, got.headers, got.body) == (
                        wanted.status, wanted.reason, wanted.headers, wanted.body,
                    )  # fmt: skip
                    assert (got.outcome, got.words, got.refusal) == (Outcome.REFUSED, refusal.words, refusal)
                    got.headers.append(("retry-after", "1"))  # that of this request alone


def test_few_are_held_and_none_with_a_long_reason() -> None:
    state = machine().state
    rule, held = state.matcher.match("/a"), state.responder._refusals
    assert held is not None
    for number in range(3 * MOST_REFUSALS):
        refusal = Refusal(RefusalKind.LIMIT, 414, f"limit: {number}")
        assert isinstance(state.responder.refused(refusal, rule, GET, START), Refuse)
        assert len(held) <= MOST_REFUSALS
    before = len(held)
    state.responder.refused(Refusal(RefusalKind.HOST, 421, "h" * 2_000), rule, GET, START)
    assert len(held) == before
