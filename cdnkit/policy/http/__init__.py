"""Field values of HTTP: text to values, strict, memoised where the same text comes again and again."""
