"""Raw events to counts with an enforced contribution bound."""
