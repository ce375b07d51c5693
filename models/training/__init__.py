"""Training of networks: the loop, its settings, its updates and its observers."""

from models.training.config import TrainingConfig
from models.training.epochs import Epoch, History
from models.training.train import check_training, train
from models.training.updates import PlainUpdates, Updates

__all__ = [
    "Epoch",
    "History",
    "PlainUpdates",
    "TrainingConfig",
    "Updates",
    "check_training",
    "train",
]
