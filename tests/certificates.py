"""Certificates of authorities of the tests' own."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _save(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def certified(folder, name, issuer=None, issuer_key=None):
    """Files of a certificate for the host localhost (without an issuer: of an authority), and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1)))
    if issuer:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
    else:
        made = made.add_extension(x509.BasicConstraints(True, None), True)
    cert = made.sign(issuer_key or key, hashes.SHA256())
    return cert, key, _save(folder, name + ".crt", cert.public_bytes(serialization.Encoding.PEM)), _save(
        folder, name + ".key", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                 serialization.NoEncryption()))
