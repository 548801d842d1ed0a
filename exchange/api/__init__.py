"""HTTP and nothing else: parse, call the use case, answer. What things mean is in the modules beside this package."""
