"""Characters as a camera might see them, drawn from the typefaces that matplotlib ships.

``faces`` knows which face holds which character and rasterises one; ``characters`` is the list of classes;
``distinct`` is how that list was found; ``photograph`` makes one image; ``cache`` renders a whole part once.
The data set itself is ``lowshot.data.sets.glyphs``.
"""
