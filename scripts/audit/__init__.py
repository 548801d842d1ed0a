"""The auditor: re-derives the whole ledger from the chain and believes nothing else. It imports `contracts` only."""
