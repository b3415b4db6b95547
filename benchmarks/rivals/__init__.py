"""How others place their marks: the real packages, and the documented rules of the rest."""
