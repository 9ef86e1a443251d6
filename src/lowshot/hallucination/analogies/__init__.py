"""Generation by analogy: clusters of each base class, analogies among them, and a network that completes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lowshot.lazy import on_first_use

if TYPE_CHECKING:
    from lowshot.hallucination.analogies.clusters import Centroids, fit_centroids
    from lowshot.hallucination.analogies.generator import AnalogyGenerator
    from lowshot.hallucination.analogies.mining import Analogies, mine_analogies

__all__ = ["Analogies", "AnalogyGenerator", "Centroids", "fit_centroids", "mine_analogies"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "clusters": ("Centroids", "fit_centroids"),
        "generator": ("AnalogyGenerator",),
        "mining": ("Analogies", "mine_analogies"),
    },
)
