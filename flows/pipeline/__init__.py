"""The pipeline: read, validate, privatise, window, fit, evaluate, record. `train.py` is its spine."""
