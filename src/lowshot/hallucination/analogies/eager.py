"""Mining in eager torch, on any device and on a CPU without a C compiler. Its results are those of the C kernel.

The algebra and the upper bounds are those of kernel.c, a pair of classes at a time: first the range of each row, then
the maximum in single precision with a margin for its rounding, and double precision only for rows that may improve.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lowshot.hallucination.analogies.pairs import TIE, Best, PairTable

# The size of the work space: one that fits a core's cache, and one that fills a GPU.
CHUNK_VALUES = {"cpu": 2**17, "cuda": 2**27}


class EagerMiner:
    """Finds the best partners of one class at a time.

    Args:
        table (PairTable): The centroids.
        device (str): The torch device to compute on.
    """

    def __init__(self, table: PairTable, device: str) -> None:
        self.table = table
        self.device = torch.device(device)
        self.chunk = CHUNK_VALUES.get(self.device.type, 2**22)
        self.moved = torch.from_numpy(table.moved).to(self.device)
        self.inverse = [torch.from_numpy(inverse).to(self.device) for inverse in table.inverse_norms]

    def best_of(self, row: int) -> Best:
        """Find the best partner of every pair of centroids of class ``row`` among the pairs of all other classes."""
        start = self.table.start
        own = self.moved[start[row] : start[row + 1]]
        i, j = torch.triu_indices(len(own), len(own), 1, device=self.device)
        scale = self.inverse[row][i, j, None]
        scores, classes, partners = (torch.from_numpy(a).to(self.device) for a in vars(Best.none(len(i))).values())
        for b, w in enumerate(self.inverse):
            if b == row or len(w) < 2:
                continue
            products = own @ self.moved[start[b] : start[b + 1]].T
            h = (products[i] - products[j]) * scale
            rows, tops = self._better(h, w, scores)
            scores[rows], classes[rows] = tops, b
            partners[rows] = self._first(h[rows], w, tops) + int(start[b])
        return Best(*(a.cpu().numpy() for a in (scores, classes, partners)))

    def _better(self, h: torch.Tensor, w: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows of ``h`` (P, K) that this class improves over ``known`` (P,), and their cosines."""
        low, high = h.amin(1), h.amax(1)
        reach = (high - low) * w.max()
        rows = torch.nonzero(reach > known).squeeze(1)
        # |x| <= range / 2, so rounding to single precision costs a cosine under 4 * 2^-24 * reach
        x = (h[rows] - (low + high)[rows, None] / 2).float()
        nearly = self._highest(x, w.float())
        rows = rows[nearly.double() + reach[rows] * 2**-20 > known[rows]]
        tops = self._highest(h[rows], w)
        better = tops > known[rows] * (1 + TIE)
        return rows[better], tops[better]

    def _highest(self, h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """(P,) the largest (h_k - h_l) w_kl of each row, over all k and l, so over both orders of every pair."""
        return torch.cat([c.amax(1) for c in self._cosines(h, w)]) if len(h) else h.new_zeros(0)

    def _first(self, h: torch.Tensor, w: torch.Tensor, tops: torch.Tensor) -> torch.Tensor:
        """(P, 2, 2) the first (k, l) of each row that reaches ``tops``, and the first whose opposite order does."""
        floors = (tops * (1 - TIE)).split(self._rows(w))
        first = [h.new_zeros((0, 2), dtype=torch.int64)]
        for cosines, floor in zip(self._cosines(h, w), floors):
            reached = cosines >= floor[:, None], cosines <= -floor[:, None]
            first.append(torch.stack([mask.to(torch.uint8).argmax(1) for mask in reached], dim=1))
        flat = torch.cat(first)
        return torch.stack([flat // len(w), flat % len(w)], dim=2)

    def _cosines(self, h: torch.Tensor, w: torch.Tensor) -> Iterator[torch.Tensor]:
        for part in h.split(self._rows(w)):
            yield (part[:, :, None] - part[:, None, :]).mul_(w).flatten(1)

    def _rows(self, w: torch.Tensor) -> int:
        return max(1, self.chunk // w.numel())
