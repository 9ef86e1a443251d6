"""The original program's command lines and files (Hariharan & Girshick, arXiv 1606.02819), translated to this library.

Nothing here computes anything of its own: ``formats`` reads and writes the original's files, and each of the other
modules takes the flags of one of its six programs.
"""
