"""A recogniser: classes that are taught from a few photos, and answers about new ones."""
