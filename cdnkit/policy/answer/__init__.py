"""From a decision to a ready head: status, fields, the part of the body, and pages in place of errors."""
