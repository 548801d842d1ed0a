"""The exchange: gateway, relayer and programme engine. Owns schema `exchange`; reads `mirror`, never writes it."""
