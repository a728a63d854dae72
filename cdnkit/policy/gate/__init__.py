"""Which requests are refused before the cache: limits, hosts, HTTPS, countries, rates, tokens."""
