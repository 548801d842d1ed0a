"""The indexer: mirrors chain state into PostgreSQL schema `mirror`, and knows nothing of the exchange."""
