"""The store of response heads: entries by cache key, variant and part; what a request finds; what is evicted."""
