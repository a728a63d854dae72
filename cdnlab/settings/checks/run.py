"""All checks, in the order in which they run."""

from collections.abc import Iterator

from cdnlab.settings.checks.addresses import addresses, folders, names
from cdnlab.settings.checks.draft import Draft, Finding
from cdnlab.settings.checks.files import certificates, databases, encoders, keys, sources
from cdnlab.settings.checks.parents import idle, override_hosts, parents
from cdnlab.settings.checks.rules import hosted, observations, rules_of
from cdnlab.settings.checks.steering import pathways
from cdnlab.settings.checks.streams import patience, segments


def run(draft: Draft) -> Iterator[Finding]:
    """Everything that is wrong between the parts of a draft."""
    yield from names(draft)
    yield from addresses(draft)
    yield from folders(draft)
    yield from certificates(draft)
    yield from encoders(draft)
    yield from parents(draft)
    yield from idle(draft)
    yield from keys(draft)
    yield from override_hosts(draft)
    yield from observations(draft)
    yield from rules_of(draft)
    yield from hosted(draft)
    yield from databases(draft)
    yield from sources(draft)
    yield from segments(draft)
    yield from patience(draft)
    yield from pathways(draft)
