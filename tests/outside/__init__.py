"""What others wrote: clients, signers, a browser, nginx and Varnish. Skipped where it is not installed."""
