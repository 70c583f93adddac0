"""The command `agent`: one file a group of commands, each importing what it needs only when it runs."""
