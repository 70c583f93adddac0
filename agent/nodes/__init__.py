"""One node of the loop a file: read by id, call one capability, write the record and the event, return ids."""
