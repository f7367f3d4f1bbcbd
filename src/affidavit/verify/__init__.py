"""Check a log, believing nothing its maker says: bytes in, a verdict out, nothing produced."""
