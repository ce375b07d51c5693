"""Convex heads: forecasters whose weights a solver finds."""
