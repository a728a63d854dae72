"""Who may ask: limits, hosts, HTTPS, countries, rates and tokens, judged before the cache. The first refusal wins."""
