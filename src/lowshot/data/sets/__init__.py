"""Data sets, one file each. Importing this package alone registers nothing."""
