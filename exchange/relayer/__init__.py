"""From accepted purchases and intents to blocks: batches, then transactions, and what became of them.

`batching` turns purchases into signed batches, each one a call; a lane (`run`) carries calls, by one signer, to the
chain. `store` is the only SQL of the state machine, `node` the only RPC; `sign` and `outcome` are pure.
"""
