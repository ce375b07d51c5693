"""Convex heads: forecasters whose weights are found by a solver."""
