"""cdn.toml: what is wrong is said by file, line, found and wanted, all of it at once."""

from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter

from cdnkit.policy.rules.service import Service
from cdnlab.errors import BadDocument, BadUsage
from cdnlab.settings.alone import edge_settings
from cdnlab.settings.document import Loaded, parse, read

KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def load(text: str, folder: Path = Path(), **environ: str) -> Loaded:
    return parse(text, file="cdn.toml", folder=folder, environ=environ)


def complaints_of(text: str, folder: Path = Path(), **environ: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        load(text, folder, **environ)
    return str(caught.value).splitlines()


BAD = [  # given                                                         then: line:column, and words of the complaint
    # the text itself
    ('profile = "rfc9111', "1:19", ["wanted TOML"]),
    ("[[node]]\nname = fra", "2:8", ["found \"name = fra\"", "wanted TOML"]),
    # one setting
    ('profil = "fastly"', "1:1", ["unknown key 'profil'", "Did you mean 'profile'?"]),
    ('profile = "akamai"', "1:1", ['found "akamai"', "rfc9111", "cloudfront"]),
    ('[[stream]]\nname = "a"\nladder = ["721p"]', "3:1", ['stream[0].ladder', "No rung '721p'", "720p"]),
    ('[[stream]]\nname = "Big Name"', "2:1", ["stream[0].name", "wanted text that matches"]),
    ('[[stream]]\nname = "live"\n[origin]\ningest_streams = ["news-*"]', "2:1", ["stream[0].name", "one of origin.ingest_streams (news-*)"]),
    ('[[stream]]\nsegment = "5 parsecs"', "2:1", ['found "5 parsecs"', "a duration such as", "Unknown unit 'parsecs'"]),
    ('[[stream]]\nsegment = "1s"\npart = "2s"', "1:1", ["stream[0]", "wanted part <= segment"]),
    ('[[stream]]\nsegment = "1010ms"\nframe_rate = 30', "1:1", ["wanted a whole number", "30.3 frames"]),
    ('[[behavior]]\npath = "*"\nttl = { mim = "1s" }', "3:9", ["behavior[0].ttl.mim", "Did you mean 'min'?"]),
    ('[[behavior]]\npath = "*"\nttl.min = "5s"\nttl.max = "2s"', "3:1", ["wanted min <= default <= max", "Min is 5s, max is 2s."]),
    ('[[behavior]]\npath = "*"\nkey.query = 3', "3:5", ["found 3", '"all" or "none"', "a list in brackets"]),
    ('[[behavior]]\npath = "*"\ncache = "yes please"', "3:1", ['found "yes please"', "wanted true or false"]),
    ('[[behavior]]\nttl = { min = "1s" }', "1:1", ["behavior[0]: wanted the key 'path'"]),
    ('[[behavior]]\npath = "*"\ngeo = { allow = ["de"] }', "3:9", ["behavior[0].geo.allow", 'such as "DE"']),
    ('[[behavior]]\npath = "*"\ngeo = { allow = ["DE"], deny = ["US"] }', "3:1", ["wanted countries in allow or in deny, not in both"]),
    ('[[node]]\nname = "a"\nmemory = "lots"', "3:1", ["node[0].memory", 'a size such as "64KiB"']),
    ('[[node]]\nname = "a"\nlisten = "8080"', "3:1", ["node[0].listen", 'an address such as "127.0.0.1:8080"']),
    ('[[node]]\nname = "a"\nmemory = "1MiB"\nlargest = "2MiB"', "1:1", ["wanted largest <= memory"]),
    ('[[node]]\nname = "a"\ntrusted = ["localhost"]', "3:1", ["node[0].trusted", "localhost"]),
    ('[geo]\ncountries = { "203.0.113.0/33" = "DE" }', "2:1", ["geo.countries", 'such as "203.0.113.0/24"']),
    ('[[node]]\nname = "a"\ndisk = { path = "c", size = "1MiB" }', "1:1", ["wanted memory <= disk.size"]),
    ('[[node]]\nname = "a"\nshared = "memcached://x"', "3:1", ["node[0].shared", "redis://127.0.0.1:6379/0"]),
    ('[[node]]\nname = "a"\neviction = "mru"', "3:1", ["eviction", "s3-fifo"]),
    ('[[node]]\nname="a"\ndisk.path="c"\n[[node]]\nname="b"\ndisk.path="./c"', "6:6", ['"c"', "another folder: a uses this one"]),
    ('[geo]\ncountries = { "203.0.113.0/24" = "Germany" }', "2:1", ["203.0.113.0/24 is in 'Germany'", '"DE" or "US-CA"']),
    ('[geo]\nasns = { "203.0.113.0/24" = 0 }', "2:1", ["geo.asns", "such as 64500"]),
    ('[geo]\nhosting = ["203.0.113.1/24"]', "2:1", ["geo.hosting", "host bits set", 'such as "203.0.113.0/24"']),
    ('[geo]\ndatabases = ["iptocc", "gone.mmdb"]', "2:24", ["geo.databases[1]", "gone.mmdb", "No such file", "wanted an MMDB file"]),
    # services
    ('hostnames = ["Www.test"]', "1:14", ["hostnames", 'wanted a host such as "img.example.com"']),
    ('hostnames = ["a.test:80"]', "1:14", ["hostnames", "without a port"]),
    ('[service.a]\nprofile = "fastly"', "1:1", ["service.a: wanted the key 'hostnames'"]),
    ('[service.a]\nhostnames = []', "2:1", ["service.a.hostnames"]),
    ('[service.default]\nhostnames = ["a.test"]', "1:1", ["service.default", 'other than "default"']),
    ('hostnames = ["a.test"]\n[service.a]\nhostnames = ["b.test", "a.test"]', "3:24", ["service.a.hostnames[1]", "another host: the top of the file has this one"]),
    ('[service.a]\nhostnames = ["a.test"]\n[service.b]\nhostnames = ["a.test"]', "4:14", ["service.b.hostnames[0]", "another host: service.a has this one"]),
    ('[service.a]\nhostnames = ["a.test"]\norigin = "shield"', "3:1", ["service.a.origin", "wanted text that matches"]),
    ('[service.a]\nhostnames = ["a.test"]\n[[service.a.behavior]]\npath = "*"\ntoken = "v"', "5:1", ["service.a.behavior[0].token", "the name of a token"]),
    ('profile = "cloudfront"\n[service.a]\nhostnames = ["a.test"]\nprofile = "fastly"\n[[service.a.behavior]]\npath = "*"\ncompress = true\nkey.accept_encoding = ["gzip"]', "7:1", ["service.a.behavior[0].compress", "(it is fastly)"]),
    ('[[node]]\nname = "a"\nparent_ca = "gone.pem"', "3:1", ["node[0].parent_ca", "gone.pem", "No such file", '"system", "local" or a file of certificates']),
    # sizes that do not fit, and the unit that was forgotten
    ('[[node]]\nname = "a"\nmemory = "512"', "1:1", ["node[0]: wanted largest <= memory", "Memory is 512B, less than largest, 64MiB", 'memory = "512MiB" was probably meant']),
    ('[[node]]\nname = "a"\nmemory = 512', "1:1", ['memory = "512MiB" was probably meant']),
    ('[[node]]\nname = "a"\nmemory = "0"', "1:1", ["Memory is 0B, less than largest, 64MiB."]),
    ('[[node]]\nname = "a"\nmemory = "32MiB"', "1:1", ["Memory is 32MiB, less than largest, 64MiB."]),
    ('[[node]]\nname = "a"\ndisk = { path = "d", size = "100" }', "1:1", ["wanted memory <= disk.size", 'disk.size = "100MiB" was probably meant']),
    # a rule about what nobody tells would never apply
    ('[[behavior]]\npath = "*"\ngeo = { deny = ["KP", "US-CA"] }', "3:23", ["geo.deny[1]", '"US-CA"', "wanted a fact that [geo] has", "iptocc has countries only"]),
    ('[[behavior]]\npath = "*"\ngeo = { allow = ["AS64500"] }', "3:18", ["geo.allow[0]", "wanted a fact that [geo] has"]),
    ('[[behavior]]\npath = "*"\ngeo = { anonymous = "deny" }', "3:9", ["geo.anonymous", "wanted a fact that [geo] has"]),
    # a field about the viewer is the node's own
    ('[[behavior]]\npath = "*"\nviewer_headers = ["CloudFront-Viewer-Country"]', "3:19", ["viewer_headers[0]", 'profile = "rfc9111" write']),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\nkey = { headers = ["CloudFront-Viewer-City"] }', "4:20", ["key.headers[0]", "a field that nodes with", "Did you mean 'cloudfront-viewer-country'"]),
    # what would be taken and do nothing
    ('[[behavior]]\npath = "*"\nerror_ttls = { 404 = "1s", 503 = "0s" }', "3:28", ["error_ttls.503", "found 503", "one of 404, 410"]),
    ('profile = "fastly"\n[[behavior]]\npath = "*"\nerror_ttls = { 500 = "1s" }', "4:16", ["error_ttls.500", 'profile = "fastly" keeps, one of 404, 410']),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\nerror_ttls = { 416 = "1s" }', "4:16", ["error_ttls.416", "one of 400, 403, 404"]),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\nerror_ttls = { 410 = "1s" }', "4:16", ["error_ttls.410"]),
    *((f'profile = "{profile}"\n[[behavior]]\npath = "*"\nkey.headers = ["{name}"]', "4:16", ["key.headers[0]", f'found "{name}"', "goes on to the origin"]) for profile in ("rfc9111", "cloudfront", "fastly") for name in ("Connection", "Upgrade", "TE", "Proxy-Authorization", "CDNLab-Client-IP")),
    *((f'profile = "{profile}"\n[[behavior]]\npath = "*"\nkey.headers = ["{name}"]', "4:16", ["key.headers[0]", f'found "{name}"', "wanted the name of a field"]) for profile in ("rfc9111", "cloudfront", "fastly") for name in ("", "X Kind", "X-Kind:", ":authority")),
    *((f'[[behavior]]\npath = "*"\nkey.cookies = ["{name}"]', "3:16", ["key.cookies[0]", f'found "{name}"', "wanted the name of a cookie"]) for name in ("", "a=1", "a; b", " a")),
    ('[[behavior]]\npath = "*"\nkey.cookies = "all"\nkey.cookies_except = ["_ga", "a=*"]', "4:30", ["key.cookies_except[1]", 'found "a=*"', "wanted the name of a cookie"]),
    *((f'[[behavior]]\npath = "*"\nkey.{key} = ["{name}"]', f"3:{len(key) + 9}", [f"key.{key}[0]", f'found "{name}"', "wanted the name of a query parameter"]) for key in ("query", "query_except") for name in ("a=1", "a&b", "#a")),
    *((f'profile = "cloudfront"\n[[behavior]]\npath = "*"\nkey.headers = ["{name}"]', "4:16", ["key.headers[0]", f'found "{name}"', "takes into the key"]) for name in ("Cookie", "X-Amz-Cf-Id", "Cache-Control", "Pragma", "Content-Length", "Max-Forwards", "Request-Range", "X-Edge-Location", "X-Forwarded-Proto", "X-Real-IP")),
    ('[[behavior]]\npath = "*"\nkey = { headers = ["Accept-Encoding"], accept_encoding = ["gzip"] }', "3:20", ["key.headers[0]", "beside key.accept_encoding"]),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\nkey.query_except = ["utm_*"]', "4:21", ["key.query_except[0]", "a name in full", "names of cookies"]),
    ('profile = "cloudfront"\n[[behavior]]\npath = "*"\nkey.query = ["a", "b?"]', "4:19", ["key.query[1]", "a name in full"]),
    ('[[behavior]]\npath = "*"\nresponse_headers_policy = "a"\n[response_headers.a]\nserver_timing = 5', "3:1", ["response_headers_policy", "one without server_timing"]),
    ('[[node]]\nname = "a"\ntls = { certificate = "a.pem", key = "b.pem" }', "3:1", ["node[0].tls", "no listen_tls"]),
    ('[[node]]\nname = "a"\nfailover = { statuses = [500] }', "3:14", ["failover.statuses", "no failover.to"]),
    ('[[node]]\nname = "a"\nhealth = { rest = "1s" }', "3:12", ["health.rest", "failures = 1 or more"]),
    ('[[node]]\nname = "a"\nhealth = { check = { interval = "1s" } }', "3:12", ["health.check", "a path"]),
    ('[[node]]\nname = "a"\ntrusted = []\nclient_from = ["X-Forwarded-For"]', "4:1", ["client_from", "networks in trusted"]),
    ('[[node]]\nname = "a"\nrate_limit = { requests = 5 }\n[[node]]\nname = "b"\nparent = "a"', "3:1", ["node[0].rate_limit", "wanted an edge"]),
    ('[[node]]\nname = "a"\ntimeouts = { retry_reads = true }', "3:14", ["retry_reads", "attempts = 2 or more"]),
    ('[[node]]\nname = "a"\ntrusted = ["10.0.0.1/8"]', "3:1", ["node[0].trusted", "host bits set", 'such as "203.0.113.0/24"']),
    ('[[node]]\nname = "a"\nclient_from = ["X-Real-IP"]', "3:16", ["node[0].client_from[0]", "X-Forwarded-For"]),
    ("[token.viewer]\nparam = 't'", "1:1", ["token.viewer", "wanted exactly one of key and key_file"]),
    ("[load]\nviewers = 0", "2:1", ["load.viewers", "found 0", "greater than or equal to 1"]),
    ("origin = 3", "1:1", ["origin: found 3", "wanted a table"]),
    ("stream = 3", "1:1", ["stream: found 3", "wanted a list in brackets"]),
    # between settings
    ('[[node]]\nname="a"\nlisten="127.0.0.1:8080"\n[[node]]\nname="b"\nlisten="0.0.0.0:8080"', "6:1", ["it is a's listen already"]),
    ('[[node]]\nname="a"\nlisten="127.0.0.1:9000"', "3:1", ["it is the origin's listen already"]),
    ('[[node]]\nname="a"\nlisten="127.0.0.1:81"\nadmin="127.0.0.1:81"', "4:1", ["it is a's listen already"]),
    ('[[node]]\nname="a"\n[[node]]\nname="a"', "4:1", ["another name: node[0] has this one"]),
    ('[[stream]]\nname="a"\n[[stream]]\nname="a"', "4:1", ["another name: stream[0] has this one"]),
    ('[[node]]\nname="origin"', "2:1", ["wanted another name"]),
    ('[[stream]]\nname="vod"', "2:1", ["wanted another name"]),
    ('[[node]]\nname="fra"\nparent="sheild"\n[[node]]\nname="shield"', "3:1", ['found "sheild"', "Did you mean 'shield'?"]),
    ('[[node]]\nname="a"\nparent="ftp://x"', "3:1", ["an http:// or https:// URL"]),
    ('[[node]]\nname="a"\nparent="http://x/base"', "3:1", ["http://x/base", "no path"]),
    ('[[node]]\nname="a"\nparent="a"', "3:1", ["the loop a -> a"]),
    ('[[node]]\nname="a"\nparent="b"\n[[node]]\nname="b"\nparent="a"', "3:1", ["the loop a -> b -> a"]),
    ('[[node]]\nname="a"\nfailover={to=["orgin"]}', "3:15", ['node[0].failover.to[0]', "Did you mean 'origin'?"]),
    ('[[node]]\nname="a"\nfailover={to=["origin"]}', "3:15", ["a parent that is not listed before"]),
    ('[[node]]\nname="a"\nfailover={to=["b"]}\n[[node]]\nname="b"\nparent="a"', "3:15", ["the loop a -> b -> a"]),
    ('[[node]]\nname="a"\nfailover={to=["http://b"], statuses=[418]}', "3:28", ["wanted some of 400, 403, 404, 416, 500, 502, 503, 504; not 418"]),
    ('profile="cloudfront"\n[[node]]\nname="a"\nfailover={to=["http://b", "http://c"]}', "4:11", ["found 2 parents", "two members"]),
    ('[[behavior]]\npath="*"\ntoken="viewer"\n[token.viewers]\nkey="' + KEY + '"', "3:1", ["no [token.viewer]", "'viewers'?"]),
    ('[token.v]\nkey_file="no/such.key"', "2:1", ["no/such.key", "No such file", "/dev/urandom"]),
    ('[token.v]\nkey="not base64!"', "2:1", ["a shared secret in base64"]),
    ('[[behavior]]\npath="*"\n[[behavior]]\npath="/live/*.m3u8"', "4:1", ["behavior[0], \"*\", comes first", "narrower"]),
    ('[[stream]]\nname="a"\nsource="no-such-clip.mp4"', "3:1", ['"testcard", a URL, or a file that exists']),
    ('[[stream]]\nsegment="2s"\n[origin]\nstart="-5s"', "4:1", ["-5s", "0s to 54s, or -1m to -6s"]),
    ('[[stream]]\nsegment="2s"\n[origin]\nstart="55s"', "4:1", ["55s", "0s to 54s"]),
    ('[[stream]]\nsegment="2s"\n[origin]\nstart="-61s"', "4:1", ["-61s", "-1m to -6s"]),
    ('[[stream]]\nname="a"\nsegment="2s"\n[[stream]]\nname="b"\nsegment="4s"\n[origin]\nstart="-8s"', "8:1", ["-8s", "to -12s", "segments of 4s"]),
    ('[[stream]]\nsegment="10s"\n[origin]\nwindow="20s"', "4:1", ["at least three segments (30s"]),
    ('[[stream]]\nname="a"\nsegment="2s"\n[[stream]]\nname="b"\nsegment="10s"\n[origin]\nwindow="20s"', "8:1", ["at least three segments (30s"]),
    ('[token.v]\nkey="${NO_SUCH_KEY}"', "2:1", ["the environment variable NO_SUCH_KEY to be set"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "words"), BAD, ids=[text.replace("\n", " ")[:60] for text, _, _ in BAD])
def test_one_complaint(text: str, place: str, words: list[str]) -> None:
    (complaint,) = complaints_of(text)
    assert complaint.startswith(f"cdn.toml:{place}: ")
    for word in words:
        assert word in complaint


@pytest.mark.parametrize("profile", ["rfc9111", "cloudfront", "fastly"])
def test_a_field_whose_name_only_looks_like_one_that_ends_at_a_node_may_be_in_the_key(profile: str) -> None:
    names = ["Upgrade-Insecure-Requests", "X-Cookie", "Connection-Type", "X-Edge", "X-WP-Access-Authorization", "Te2"]
    (behavior,) = load(f'profile = "{profile}"\n[[behavior]]\npath = "*"\nkey.headers = {names}').document.behaviors
    assert behavior.key.headers == tuple(names)


def test_a_profile_from_the_command_line_is_held_against_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cdn.toml"
    file.write_text('profile = "cloudfront"\n[[behavior]]\npath = "*"\nerror_ttls = { 503 = "1s" }\n')
    options = {"origin": "http://127.0.0.1:9", "listen": None, "admin": None, "config": file, "node": None}
    assert edge_settings(profile="cloudfront", **options).service.profile == "cloudfront"  # type: ignore[arg-type]
    with pytest.raises(BadUsage, match=r"--profile fastly: behavior\[0\]\.error_ttls\.503: found 503"):
        edge_settings(profile="fastly", **options)  # type: ignore[arg-type]


def test_all_complaints_at_once_in_the_order_of_the_lines() -> None:
    told = complaints_of(
        """\
profile = "rfc911"
[[stream]]
sauce = "testcard"
[[node]]
name = "a"
parent = "b"       # a loop with b ...
[[node]]
name = "b"
parent = "a"
[[node]]
name = "c"
parent = "d"       # ... and a parent that is not there, although other tables are bad by themselves
memory = "512 bananas"
[[behavior]]
path = "*"
[[behavior]]
path = "*.m3u8"
token = "nobody"
"""
    )
    assert [line.split(":")[1] for line in told] == ["1", "3", "6", "13", "17", "18"]


def test_a_bad_node_is_no_reason_to_miss_it_as_a_parent() -> None:
    told = complaints_of('[[node]]\nname="shield"\nmemory="?"\n[[node]]\nname="fra"\nparent="shield"')
    assert len(told) == 1
    assert "memory" in told[0]


def test_environment_fills_in_and_stays_out_of_what_is_written_down() -> None:
    loaded = load('[token.v]\nkey="${SECRET}"\n[[node]]\nname="a"\nparent="http://${HOST}:1"', SECRET=KEY, HOST="[::1]")
    assert loaded.document.tokens["v"].key == KEY
    assert loaded.document.nodes[0].parent == "http://[::1]:1"
    public = loaded.public()
    assert public["token"]["v"]["key"] == "${SECRET}"
    assert public["node"][0]["parent"] == "http://${HOST}:1"
    assert KEY not in str(public)


def test_a_key_in_the_file_is_hidden_too() -> None:
    public = load(
        f'[token.v]\nkey="{KEY}"\n[[node]]\nname="a"\nshared="redis://:pw@h:1/2"\n'
        f'parent_headers={{"X-Origin-Verify"="{KEY}"}}'
    ).public()
    assert KEY not in str(public)
    assert public["token"]["v"]["key"] == "(hidden)"
    assert public["node"][0]["shared"] == "redis://(hidden)@h:1/2"
    assert public["node"][0]["parent_headers"] == {"X-Origin-Verify": "(hidden)"}
    assert public["load"]["viewers"] == 50  # every default filled in


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "viewer.key").write_text(KEY)
    (tmp_path / "clip.mp4").write_bytes(b"")
    file = tmp_path / "cdn.toml"
    file.write_text(
        '[token.v]\nkey_file="viewer.key"\n[[stream]]\nsource="clip.mp4"\n[origin]\nvod="vod"\nstorage="media"\n'
        '[[node]]\nname="a"\ndisk.path="cache"\n'
    )
    document = read(file).document
    assert document.tokens["v"].key_file == tmp_path / "viewer.key"
    assert document.streams[0].source == str(tmp_path / "clip.mp4")
    assert (document.origin.vod, document.origin.storage) == (tmp_path / "vod", tmp_path / "media")
    disk = document.nodes[0].disk
    assert disk is not None and disk.path == tmp_path / "cache"
    assert document.service(document.nodes[0]).room == disk.size


def test_a_service_has_rules_of_its_own_and_a_part_of_each_node() -> None:
    document = load(
        'profile = "cloudfront"\n[service.a]\nhostnames = ["*.a.test"]\nprofile = "fastly"\n'
        '[[service.a.behavior]]\npath = "*.ts"\n'
        '[[service.a.error_page]]\nstatus = 404\npage = "/404"\nresponse_status = 404\n'
        '[[node]]\nname = "shield"\nmemory = "100MiB"\n[[node]]\nname = "fra"\nparent = "shield"'
    ).document
    shield, fra = document.nodes
    first, other = document.service(fra), document.service(fra, "a")
    assert (first.profile, other.profile) == ("cloudfront", "fastly")
    assert (
        [one.path for one in other.behaviors] == ["*.ts"] == [one.path for one in document.behaviors_at("x.a.test:80")]
    )
    assert [one.path for one in document.behaviors_at("elsewhere.test")] == ["*.m3u8", "*.mpd", "*"]
    assert (len(first.error_pages), len(other.error_pages), len(document.service(shield, "a").error_pages)) == (0, 1, 0)
    assert document.service(shield, "a").room == document.service(shield).room == 50 * 2**20
    # A shield is asked by its own address, so its edges name the service; the origin need not know.
    assert (first.parent_headers, other.parent_headers) == ({}, {"cdnlab-service": "a"})
    assert document.service(shield, "a").parent_headers == {}


def test_geo_databases_are_files_beside_it_or_iptocc(tmp_path: Path) -> None:
    MMDBWriter(database_type="Test-Country").to_db_file(str(tmp_path / "country.mmdb"))
    text = '[[behavior]]\npath = "*"\ngeo = { deny = ["AS64500"] }\n[geo]\ndatabases = ["country.mmdb", "iptocc"]'
    # A file may know operators: what it holds is not read through for that.
    assert load(text, tmp_path).document.geo.databases == (str(tmp_path / "country.mmdb"), "iptocc")
    (tmp_path / "country.mmdb").write_bytes(b"country,network\n")
    (complaint,) = complaints_of(text, tmp_path)
    assert complaint.startswith("cdn.toml:5:14: geo.databases[0]: found ")
    assert "country.mmdb, which is no MMDB file or is damaged, wanted an MMDB file" in complaint


def test_the_origin_cuts_as_the_encoder_is_told() -> None:
    assert load('[[stream]]\nsegment="2s"').document.origin.segment == 2.0
    both = load(
        '[[stream]]\nname="a"\nsegment="2s"\n[[stream]]\nname="b"\nsegment="6s"\n[origin]\nsegment="4s"'
    ).document
    assert both.segment_lengths() == {"a": 2.0, "b": 6.0}
    assert both.origin.segment == 4.0, "of streams that are not ours"


def test_a_shield_has_no_gate() -> None:
    document = load(
        '[[node]]\nname="shield"\n[[node]]\nname="fra"\nparent="shield"\nmemory="8MiB"\nlargest="1MiB"'
    ).document
    shield, fra = (document.service(node) for node in document.nodes)
    assert (shield.gate, fra.gate) == (False, True)
    assert (fra.name, fra.room, fra.largest) == ("fra", 8 * 2**20, 2**20)
    assert [node.name for node in document.edges()] == ["fra"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="no such file"):
        read(tmp_path / "cdn.toml")
    with pytest.raises(BadUsage, match="Is a directory"):
        read(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'profile = "\xe9"')
    with pytest.raises(BadUsage, match="invalid UTF-8 at byte 11"):
        read(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[control]\nlisten = "0.0.0.0:8400"', "secret_access_key and fastly_token of your own"),
        ('[control]\nlisten = "[::]:0"\nsecret_access_key = "x"', "wanted fastly_token of your own"),
        ('[[node]]\nname = "a"\nadmin = "0.0.0.0:8180"', "wanted an admin_token"),
        ('[[node]]\nname = "a"\nadmin = "192.0.2.1:8180"', "wanted an admin_token"),
        ('[origin]\ningest = "0.0.0.0:9001"', r"wanted an \[origin.encoders.NAME\]"),
        (
            '[origin]\nanybody_may_publish = true\nencoders.a.token = "12345678"',
            "Found encoders and anybody_may_publish",
        ),
    ],
)
def test_who_listens_beyond_loopback_asks_who_is_there(text: str, wanted: str) -> None:
    with pytest.raises(BadDocument, match=wanted):
        parse(text, file="cdn.toml", folder=Path(), environ={})


def test_credentials_are_in_no_run_folder() -> None:
    text = (
        '[control]\nlisten = "0.0.0.0:8400"\nsecret_access_key = "s3cr3t"\nfastly_token = "s3cr3t"\n'
        '[[node]]\nname = "a"\nadmin = "0.0.0.0:0"\nadmin_token = "s3cr3t"'
    )
    loaded = parse(text, file="cdn.toml", folder=Path(), environ={})
    assert loaded.document.nodes[0].admin_token == "s3cr3t"
    assert "s3cr3t" not in str(loaded.public())


def test_the_files_of_encoders_are_read_with_the_settings(tmp_path: Path) -> None:
    text = """
[origin]
ingest_tls = { certificate = "cert.pem", key = "key.pem" }
ingest_client_ca = "ca.pem"
encoders.a.password_file = "password"
encoders.b.token_file = "token"
encoders.c.certificate = "c"
"""
    (tmp_path / "token").write_text("no token")
    found = complaints_of(text, tmp_path)
    wanted = ["origin.ingest_tls", "origin.ingest_client_ca", "encoders.a.password_file", "encoders.b.token_file"]
    assert [one for one in wanted if not any(one in line for line in found)] == []
    assert "no token" in str(found) and "ca.pem" in str(found)
    (tmp_path / "token").write_text("a-real-token")
    origin = load('[origin]\nencoders.b.token_file = "token"', tmp_path).document.origin
    assert origin.encoders["b"].token_file == tmp_path / "token", "as the origin's process finds it"


def test_a_behavior_with_a_policy_can_be_read_again_where_it_was_written_out() -> None:
    """A node's process is given its settings as JSON, and a replay reads cdn.json."""
    text = 'profile = "cloudfront"\n[[behavior]]\npath = "*"\ncache_policy = "CachingOptimized"\n[[node]]\nname = "a"'
    document = parse(text, file="cdn.toml", folder=Path(), environ={}).document
    written = document.service(document.nodes[0]).model_dump(mode="json")
    assert Service.model_validate(written).behaviors == document.behaviors
