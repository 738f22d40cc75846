"""A certificate that this machine makes for itself: browsers give a page the camera only over HTTPS.

Nobody vouches for it, so a browser warns once and has to be told to go on. It is kept, so that it is told only once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import BadInputError, EdgeI2IError
from edge_i2i.files.whole import replacing
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from cryptography import x509

_DAYS = 365  # browsers refuse certificates of more than 825 days
_EARLIER = timedelta(days=1)  # for clocks that are late
_RENEW_BEFORE = timedelta(days=7)


def self_made(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """A certificate and its key, as PEM files in ``folder``; those of before, where they are still good for ``names``.

    Args:
        folder: where they are kept; made where it is not there.
        names: host names and addresses that the certificate is for.

    Raises:
        MissingRequirementError: the package cryptography is not installed.
        EdgeI2IError: the files cannot be written.
    """
    require("cryptography", extra="web", purpose="A certificate of one's own")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    wanted = tuple(sorted({*names, "localhost", "127.0.0.1", "::1"}))
    if not (key.is_file() and _is_good(certificate, wanted)):
        try:
            _make(certificate, key, wanted)
        except OSError as error:
            raise EdgeI2IError(
                f"The certificate cannot be kept in '{folder}': {error.strerror or error}.",
                remedy="Give one with --certificate and --key.",
            ) from error
    return certificate, key


def check_pair(certificate: Path, key: Path) -> None:
    """Check that a certificate and a key belong together and can be read.

    Raises:
        BadInputError: one cannot be read, or they do not belong together.
    """
    import ssl

    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BadInputError(
            f"'{certificate}' and '{key}' are no certificate with its key: {error.strerror or error}."
            if isinstance(error, OSError)
            else f"'{key}' cannot be read: {error}.",
            remedy="Give two PEM files, the key without a password.",
        ) from error


def _is_good(certificate: Path, wanted: tuple[str, ...]) -> bool:
    from cryptography import x509

    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    lasts = known.not_valid_after_utc - datetime.now(UTC) > _RENEW_BEFORE
    return lasts and set(wanted) <= set(_names_in(known))


def _names_in(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)]


def _make(certificate: Path, key: Path, names: tuple[str, ...]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge-i2i on this machine")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True)
    plain = serialization.NoEncryption()
    _write(key, private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read."""
    with replacing(path, private=True) as unfinished:
        unfinished.write_bytes(data)
