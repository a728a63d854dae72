"""What things cost. `make bench` runs them and compares with the last run on the machine."""
