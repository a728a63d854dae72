"""How late a viewer is, and by whose share: read from what tiers answer, and when."""
