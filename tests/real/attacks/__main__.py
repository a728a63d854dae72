"""Prints docs/attacks.md."""

from tests.real.attacks.document import page

print(page(), end="")
