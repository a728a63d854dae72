"""What attackers try on a cache: tables of attacks, run against a real edge in front of an origin that keeps every byte."""
