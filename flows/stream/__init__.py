"""The scheduled loop: new counts, noised once; forecasts from them; a model that is kept good."""
