"""Tables and texts that commands print for people; `--json` prints the same as a document."""
