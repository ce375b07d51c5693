"""Tabular forecasters: a window is one row of features, fitted in closed form or by trees."""
