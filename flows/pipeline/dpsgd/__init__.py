"""Training by DP-SGD: plan what it costs, charge, train, prove the noise, keep the release."""
