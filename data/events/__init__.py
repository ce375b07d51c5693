"""Raw events and their counts under an enforced contribution bound."""
