"""Historical averaging (sec. 3.3): a player is held near the mean of its past."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ssgan import losses
from ssgan.fields import key


@dataclass
class HistoricalAveraging:
    """Weight of the penalty of sec. 3.3 for each player."""

    classifier: float = key(0.0, "weight for the classifier; 0: off", at_least=0)
    generator: float = key(0.0, "weight for the generator; 0: off", at_least=0)


class Histories(nn.ModuleDict):
    """The mean of the past of each of ``networks`` that has a weight."""

    def __init__(self, networks: Mapping[str, nn.Module], weights: HistoricalAveraging):
        chosen = {name: network for name, network in networks.items() if getattr(weights, name)}
        super().__init__({name: AveragedModel(network).requires_grad_(False) for name, network in chosen.items()})

    def penalty(self, player: str, network: nn.Module) -> Tensor:
        """|theta - mean theta|^2 of ``network``, whose weights enter the mean first."""
        history: Any = self[player]
        history.update_parameters(network)
        return losses.historical_averaging(network.parameters(), history.module.parameters())
