"""Runtime: what a running process needs, whatever it runs."""
