"""The client's side: requests to a node over HTTP, and URLs signed with the tokens that behaviors require."""
