"""The PEM files of TLS: read, checked against each other, made a context of."""

from __future__ import annotations

import hashlib
import re
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from gemma4_gateway.settings import SettingsError, TlsFiles

__all__ = ["Identity", "fingerprint", "load"]

_MOST_BYTES = 1024 * 1024
"""Of one file; a bundle of all public authorities has a quarter of it."""
_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """What new connections are served with. ``not_after``: Unix seconds at which the first
    certificate of the chain ends. ``names``: those that clients may call it by. ``warnings``: what
    is odd, and does not stop it. ``fingerprint``: of the files."""

    context: ssl.SSLContext
    not_after: float
    names: tuple[str, ...]
    warnings: tuple[str, ...]
    fingerprint: str


def fingerprint(files: TlsFiles) -> str:
    """Return what differs when a file does: a hash of their contents, or why they cannot be
    read."""
    try:
        return _hash(_read_all(files))
    except SettingsError as error:
        return str(error)


def load(files: TlsFiles) -> Identity:
    """Read and check the files. Raises :class:`SettingsError`, which names option, file and the
    way out."""
    contents = _read_all(files)
    chain = _certificates("--ssl-certfile", files.certfile, contents[0])
    option = "--ssl-keyfile" if files.keyfile else "--ssl-certfile"
    _check_key(option, files, contents[1], chain)
    _check_order(files.certfile, chain)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = files.cert_reqs
    try:
        context.load_cert_chain(files.certfile, files.keyfile, password="")
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"--ssl-certfile {files.certfile}: OpenSSL does not take it: {_reason(error)}"
        ) from None
    authorities: list[x509.Certificate] = []
    if files.ca_certs is not None:
        authorities = _certificates("--ssl-ca-certs", files.ca_certs, contents[2])
        context.load_verify_locations(cadata=b"".join(_pem(a) for a in authorities).decode())
    if _read_all(files) != contents:
        raise SettingsError(f"--ssl-certfile {files.certfile}: it changed while it was read")
    return Identity(
        context,
        min(certificate.not_valid_after_utc.timestamp() for certificate in chain),
        _names(chain[0]),
        tuple(_warnings(files, chain, authorities)),
        _hash(contents),
    )


def _read_all(files: TlsFiles) -> list[bytes]:
    contents = [_read("--ssl-certfile", files.certfile)]
    contents.append(_read("--ssl-keyfile", files.keyfile) if files.keyfile else contents[0])
    if files.ca_certs is not None:
        contents.append(_read("--ssl-ca-certs", files.ca_certs))
    return contents


def _read(option: str, path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(
                f"{option} {path}: is no regular file, which could be read again; give a PEM file"
            )
        if found.st_size > _MOST_BYTES:
            raise SettingsError(
                f"{option} {path}: has {found.st_size} bytes, and PEM files at most {_MOST_BYTES}; "
                "give a PEM file"
            )
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{option} {path}: {error.strerror or error}; give a PEM file that this user may read"
        ) from None


def _hash(contents: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in contents)).hexdigest()


def _certificates(option: str, path: Path, data: bytes) -> list[x509.Certificate]:
    if data[:1] == b"\x30":
        raise SettingsError(
            f"{option} {path}: is DER; make PEM of it: openssl x509 -inform der -in {path}"
        )
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise SettingsError(
            f"{option} {path}: has no certificate; give a PEM file with -----BEGIN CERTIFICATE-----"
        )
    try:
        found = x509.load_pem_x509_certificates(data)
        for certificate in found:  # each is parsed only as far as it is asked for
            _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc
    except ValueError as error:
        raise SettingsError(
            f"{option} {path}: a certificate in it cannot be read ({error}); write the file anew"
        ) from None
    return found


def _check_key(option: str, files: TlsFiles, data: bytes, chain: list[x509.Certificate]) -> None:
    path = files.keyfile or files.certfile
    block = _KEY.search(data)
    if block is None:
        out = "give a PEM file with one" if files.keyfile else "give --ssl-keyfile"
        raise SettingsError(f"{option} {path}: has no private key; {out}")
    try:
        key = load_pem_private_key(block.group(), None)
    except TypeError:
        raise SettingsError(
            f"{option} {path}: the key has a passphrase, which a server that starts by itself "
            f"cannot ask for; take it off: openssl pkey -in {path} -out NEW.pem, readable by this "
            "user only"
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"{option} {path}: the private key cannot be read ({str(error)[:200]}); "
            "write the file anew"
        ) from None
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = [_public(certificate) == public for certificate in chain]
    if True not in fits:
        raise SettingsError(
            f"{option} {path}: is not the key of the certificate in --ssl-certfile "
            f"{files.certfile}; give the two that were made together"
        )
    if not fits[0]:
        raise SettingsError(
            f"--ssl-certfile {files.certfile}: the certificate of the key comes as number "
            f"{fits.index(True) + 1}; put it first, and after it those that issued it"
        )


def _check_order(path: Path, chain: list[x509.Certificate]) -> None:
    wanted = {chain[0].issuer}
    for number, certificate in enumerate(chain[1:], 2):
        if certificate.subject not in wanted:
            raise SettingsError(
                f"--ssl-certfile {path}: certificate {number} "
                f"({certificate.subject.rfc4514_string()}) issued none of those before it; put the "
                "server's own first, then the one that issued it, and so on"
            )
        wanted.add(certificate.issuer)


def _warnings(
    files: TlsFiles, chain: list[x509.Certificate], authorities: list[x509.Certificate]
) -> list[str]:
    now, found = datetime.now(timezone.utc), []
    for option, path, certificates in (
        ("--ssl-certfile", files.certfile, chain),
        ("--ssl-ca-certs", files.ca_certs, authorities),
    ):
        for certificate in certificates:
            name = certificate.subject.rfc4514_string() or ", ".join(_names(certificate))
            if certificate.not_valid_after_utc < now:
                ended = certificate.not_valid_after_utc
                found.append(f"{option} {path}: {name} ended at {ended:%Y-%m-%dT%H:%M:%SZ}")
            if certificate.not_valid_before_utc > now:
                begins = certificate.not_valid_before_utc
                found.append(f"{option} {path}: {name} begins at {begins:%Y-%m-%dT%H:%M:%SZ} only")
    if not _names(chain[0]):
        found.append(
            f"--ssl-certfile {files.certfile}: has no subjectAltName, and clients look at no other "
            "name"
        )
    return found


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = found.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(ip) for ip in found.get_values_for_type(x509.IPAddress)))


def _public(certificate: x509.Certificate) -> bytes:
    """Return the public key as DER; nothing for one of a kind that no private key here has."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).lower().replace("_", " ")
