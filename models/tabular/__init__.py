"""Forecasters that see a window as one row of features and are fitted in closed form or by trees."""
