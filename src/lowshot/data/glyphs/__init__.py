"""Characters as a camera might see them, drawn from the typefaces that matplotlib ships.

``faces`` draws a character in a typeface; ``characters`` lists the classes, which ``distinct`` has found;
``photograph`` makes one image; ``cache`` renders all images of a part into a file. The data set is
``lowshot.data.sets.glyphs``.
"""
