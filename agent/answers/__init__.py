"""Answers from the audit log: what a question asks for, and the sentences that answer it, each with its events."""
