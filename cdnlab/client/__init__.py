"""What asks a node over HTTP as a viewer does, and signs URLs with the tokens that behaviors ask for."""
