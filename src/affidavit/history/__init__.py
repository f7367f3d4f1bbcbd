"""Live state, and answers as of any position or time: folds over the ledger that can be deleted and made again."""
