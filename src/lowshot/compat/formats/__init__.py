"""The original program's files, a module each: read into the objects of this library, and written from them."""
