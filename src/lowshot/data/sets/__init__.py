"""The data sets, one file each; importing this package alone registers nothing."""
