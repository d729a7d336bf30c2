"""How likely the use of a code is a deception: noticed, scored, and told to a person."""
