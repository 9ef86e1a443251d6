"""Generation by analogy: clusters of each base class, analogies among them, and a network that completes them."""

from __future__ import annotations

from lowshot.hallucination.analogies.clusters import Centroids, fit_centroids
from lowshot.hallucination.analogies.generator import AnalogyGenerator
from lowshot.hallucination.analogies.mining import Analogies, mine_analogies

__all__ = ["Analogies", "AnalogyGenerator", "Centroids", "fit_centroids", "mine_analogies"]
