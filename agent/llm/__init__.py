"""Language models: what is asked, what it may cost, what came back. A model proposes; it decides nothing."""
