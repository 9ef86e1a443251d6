"""The transform presets, one file each."""
