"""Papers and competitors' publications on their way through the loop: sources, listing, reading, claims, the ledger."""
