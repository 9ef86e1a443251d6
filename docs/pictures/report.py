"""The picture of README.md: the top of a report, photographed by a headless Chromium.

lowshot demo
python docs/pictures/report.py runs/glyphs/report/report.html
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent


def main() -> None:
    """Write ``report.png`` and, in the dark colours, ``report-dark.png``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="the report")
    parser.add_argument("--crop", type=int, nargs=2, default=(230, 944), help="the first and last row of pixels")
    options = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    for name, flags in {"report": [], "report-dark": ["--blink-settings=preferredColorScheme=0"]}.items():
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "page.png"
            subprocess.run(
                [
                    *(browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1240,1000", *flags),
                    *(f"--screenshot={picture}", options.page.resolve().as_uri()),
                ],
                check=True,
            )
            with Image.open(picture) as page:
                top, bottom = options.crop
                few = page.convert("RGB").crop((70, top, page.width - 70, bottom)).quantize(64)
                few.save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
