"""Diagnostics: observers of training, which read what is published anyway."""
