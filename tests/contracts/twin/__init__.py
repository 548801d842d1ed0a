"""The ledger once more, as plainly as it can be said: integers, dictionaries, and one line a rule.

What `contracts/src` does in packed words, assembly and few storage reads is done here without any of that, written from
the interfaces' promises. `tests/contracts/test_twin.py` lets both do the same and compares everything. There is no
cryptography here: whoever drives the twin says who signed. No I/O, no clock, no randomness.
"""
