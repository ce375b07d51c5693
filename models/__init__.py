"""Forecasters: their training and evaluation."""
