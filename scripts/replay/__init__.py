"""Replays real retail data through the running gateway: journey (what was bought) -> acts (what holders did) -> drive -> report."""
