"""The contracts and the Python that reaches them: compilation, bindings, signatures, receipts, JSON-RPC."""
