"""Transform presets, one file each."""
