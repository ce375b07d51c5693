"""The scheduled loop: new counts are noised once, forecasts made from them, models retrained."""
