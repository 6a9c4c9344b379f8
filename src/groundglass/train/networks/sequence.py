"""The sequence head: a biLSTM over a group's slices (paper section 2.3.2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SequenceHead(nn.Module):
    """Bidirectional LSTM, every output kept and flattened, dense with dropout, dense to classes.

    The order is the paper's; units, width and dropout are our choice.

    Parameters
    ----------
    features : int
        Features per slice.
    size : int
        Slices per group.
    classes : int
        Number of classes.
    units : int
        LSTM units per direction.
    width : int
        Width of the dense layer.
    dropout : float
        Share dropped before and after the dense layer.
    """

    def __init__(  # noqa: PLR0913  (the sizes of a network, each given once)
        self,
        features: int = 240,
        size: int = 50,
        classes: int = 3,
        *,
        units: int = 32,
        width: int = 64,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(size * 2 * units, width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Class logits per group.

        Parameters
        ----------
        features : Tensor of float, shape (N, size, features)
            From feet to head.

        Returns
        -------
        Tensor of float, shape (N, classes)
        """
        steps, _ = self.lstm(features)
        x = F.relu(self.dense(self.dropout(steps.flatten(1))))
        logits: Tensor = self.out(self.dropout(x))
        return logits
