"""UNIT, as the MUNIT repository has it."""
