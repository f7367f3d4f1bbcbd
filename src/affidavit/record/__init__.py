"""What one line of the log says: header, body, kinds, exact bytes; and the sink that every producer is given."""
