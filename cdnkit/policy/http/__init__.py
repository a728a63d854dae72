"""HTTP messages and their field values: strict parsers from text to values, memoized where the same text recurs."""
