"""Arcolezi et al. 2022, as published, as run here, and under honest selection."""
