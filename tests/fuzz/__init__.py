"""Fuzzing of every file format that lowshot reads: seeded damage, and the promise that a line answers it."""
