"""`cdnlab ca`: makes, shows or removes the local CA, issues certificates, and shows how clients come to trust it.

It changes no trust store of the system or of a browser: their owner does that, with the commands shown.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from cdnkit.serving.authority import Authority, BadAuthority, files_in, make, write_new
from cdnkit.serving.folder import authority_folder
from cdnlab.errors import BadUsage, Failed

TRUST = {
    "curl": "curl --cacert {ca} https://localhost:8440/",
    "Python": "SSL_CERT_FILE={ca} python ...; requests: REQUESTS_CA_BUNDLE={ca}",
    "Node": "NODE_EXTRA_CA_CERTS={ca} node ...",
    "Debian, Ubuntu": "sudo cp {ca} /usr/local/share/ca-certificates/cdnlab.crt && sudo update-ca-certificates",
    "Fedora": "sudo trust anchor {ca}",
    "macOS": "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db {ca}",
    "Windows": "certutil -user -addstore Root {ca}",
    "Chrome on Linux": "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n cdnlab -i {ca}",
    "Firefox": "Settings, Certificates, Authorities, Import: {ca}",
}
"""Client -> what makes it trust the certificate in the file `{ca}`."""


def run(hosts: tuple[str, ...], out: Path, *, remove: bool, as_json: bool) -> None:
    """Makes or removes the local CA, or issues certificates for `hosts` into `out`, and prints what there is then."""
    folder, now = authority_folder(), time.time()
    if remove and hosts:
        raise BadUsage("--remove: found with --issue, wanted one of the two")
    if remove:
        _remove(folder, as_json=as_json)
        return
    authority, made = _found_or_made(folder, now)
    issued = [_issue(authority, host, out, now) for host in hosts]
    trust = {who: how.format(ca=authority.certificate_file) for who, how in TRUST.items()}
    until = datetime.fromtimestamp(authority.expires_at, UTC).isoformat()
    shown = {
        "certificate": str(authority.certificate_file),
        "made": made,
        "sha256": authority.fingerprint,
        "expires_at": until,
        "issued": [{"host": host, "certificate": str(pem), "key": str(key)} for host, pem, key in issued],
        "trust": trust,
    }
    if as_json:
        print(json.dumps(shown, indent=2))
        return
    for host, pem, key in issued:
        print(f"{host}: {pem}, its key {key}")
    if issued:
        return
    print(f"local CA: {authority.certificate_file}{'  (new)' if made else ''}")
    print(f"good until {until[:10]}, SHA-256 {authority.fingerprint}")
    print("It signs only for localhost, the names reserved for tests (*.test, *.example) and loopback addresses.")
    print("To trust it:")
    for who, how in trust.items():
        print(f"  {who}: {how}")


def _found_or_made(folder: Path, now: float) -> tuple[Authority, bool]:
    if any(file.exists() for file in files_in(folder)):
        return Authority(folder), False
    try:
        return make(folder, now), True
    except OSError as error:
        raise Failed(f"{error.filename or folder}: {error.strerror or error}") from error


def _issue(authority: Authority, host: str, out: Path, now: float) -> tuple[str, Path, Path]:
    host = host.lower()
    certificate, key = authority.issue((host,), now)
    files = out / f"{host}.pem", out / f"{host}-key.pem"
    for file in files:
        if file.exists():
            raise BadUsage(f"{file}: exists already", "Name another folder with --out, or remove it first.")
    try:
        write_new(files[1], key, secret=True)
        write_new(files[0], certificate)
    except OSError as error:
        raise Failed(f"{error.filename}: {error.strerror or error}") from error
    return (host, *files)


def _remove(folder: Path, *, as_json: bool) -> None:
    files = [file for file in files_in(folder) if file.exists()]
    if not files:
        raise BadAuthority(str(folder), "there is no local CA", "")
    for file in files:
        file.unlink()
    if as_json:
        print(json.dumps({"removed": [str(file) for file in files]}))
        return
    print(f"removed: {', '.join(map(str, files))}")
    print("Clients that trust it still do: remove it from their trust stores.")
