"""Real retail data through the gateway: journey (what was bought) -> acts (what holders did) -> drive -> report."""
