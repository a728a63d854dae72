"""A script of requests and faults through three tiers: in virtual time, over real sockets, one judge for both."""
