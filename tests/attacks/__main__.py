"""Prints docs/attacks.md."""

from tests.attacks.document import page

print(page(), end="")
