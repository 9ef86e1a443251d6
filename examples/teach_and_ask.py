"""Teach a recogniser in Python and ask it: a folder that any program can open again."""

import tempfile
from pathlib import Path

from lowshot import Recogniser
from lowshot.pipeline.demo_pictures import write_pictures

folder = Path(tempfile.mkdtemp())
photos = write_pictures(folder / "photos", ["two", "psi", "lao"], count=5)  # stand for your photos
new = sorted(write_pictures(folder / "new", ["two", "psi", "zhe"], count=2, first=40).rglob("*.png"))

signs = Recogniser.create(folder / "signs")
taught = signs.teach({path.name: sorted(path.iterdir()) for path in sorted(photos.iterdir())})
print("taught:", taught.added)

for photo, answer in zip(new, signs.predict(new), strict=True):
    print(f"{photo.parent.name:7s} -> {'unknown' if answer.unknown else answer.class_:8s} {answer.probability:.2f}")

# A class more. What was taught before need not be at hand, and is not forgotten.
zhe = write_pictures(folder / "more", ["zhe"], count=5)
signs.teach({"zhe": sorted((zhe / "zhe").iterdir())})
print("with zhe:", [answer.class_ for answer in signs.predict(new)])

print("probabilities:", signs.predict_proba(new).shape, "classes:", signs.classes)
signs.undo()
print("after undo:", signs.classes)
