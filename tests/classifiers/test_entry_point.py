from __future__ import annotations

import subprocess
import sys

MODULE = """
import numpy as np
from lowshot.classifiers.base import LowShotClassifier
from lowshot.registry import CLASSIFIERS


@CLASSIFIERS.register("acme_nearest_shot", "the class of the nearest example")
class NearestShot(LowShotClassifier):
    def __init__(self, power=2):
        self.power = power

    def _fit_base(self, X, codes):
        self._base_shots_ = X, codes

    def _fit_novel(self, X, codes):
        codes = codes + self.n_base_classes_
        if self.n_base_classes_:
            X, codes = np.vstack([self._base_shots_[0], X]), np.concatenate([self._base_shots_[1], codes])
        self._shots_ = X, codes

    def _scores(self, X):
        shots, codes = self._shots_
        distances = (np.abs(X[:, None] - shots) ** self.power).sum(axis=2)
        return np.stack([-distances[:, codes == k].min(axis=1) for k in range(len(self.classes_))], axis=1)
"""

USE = """
import numpy as np
from lowshot.registry import CLASSIFIERS

entry = CLASSIFIERS.entry("acme_nearest_shot")
print(entry.description, "|", entry.source)
classifier = CLASSIFIERS.build("acme_nearest_shot", power=1)
classifier.fit_base([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0]], [0, 0, 1]).fit_novel([[9.0, 0.0]], [2])
print(classifier.predict([[8.0, 1.0], [0.0, 2.0]]).tolist(), "ridge" in CLASSIFIERS)
"""


def test_an_installed_package_adds_a_classifier_by_an_entry_point(tmp_path):
    # As pip leaves it: a module, and the metadata that names its entry point.
    (tmp_path / "acme.py").write_text(MODULE)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lowshot.classifiers]\nacme_nearest_shot = acme\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = ["the class of the nearest example | acme.NearestShot", "[2, 0] True"]
    assert done.stdout.splitlines() == expected, done.stderr
