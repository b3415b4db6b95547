"""Programs that do one job over and over on files they are given, one module a package."""
