"""Train and evaluate forecasters."""
