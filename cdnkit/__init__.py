"""What the programs are made of: policy, vendors, replay, serving, settings and units. It imports none of them."""
