"""What the vendors' pages say of their CDNs, a row a rule."""
