"""A certificate and its key, as settings name them."""

from pathlib import Path

from cdnkit.units import Settings


class Certificate(Settings):
    """A certificate of the user's own."""

    certificate: Path
    """PEM file with the certificate, followed by the chain to its CA."""

    key: Path
    """PEM file with the private key, without a passphrase."""

    def beneath(self, folder: Path) -> "Certificate":
        """With its files relative to a folder."""
        return self.model_copy(update={"certificate": folder / self.certificate, "key": folder / self.key})
