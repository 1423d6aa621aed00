"""One target's protocol, client side: the wire, its refusals, and what we installed where."""
