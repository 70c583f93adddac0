"""The durable record: validated documents, hypotheses, runs and the audit log that decides what is true."""
