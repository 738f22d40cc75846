"""How good and how fast a variant is: the judge, its verdicts, the contest on engines."""
