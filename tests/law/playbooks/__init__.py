"""Events in, plans out, on one page: no sockets, no clock but the one we hold."""
