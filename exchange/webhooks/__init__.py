"""Telling merchants what happened: events derived from chain and database, delivered at least once, signed.

A process of its own: it talks to addresses that merchants choose, and holds none of the relayer's keys.
"""
