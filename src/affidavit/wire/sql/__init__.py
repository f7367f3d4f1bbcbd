"""What a PostgreSQL statement says, as pure functions of its text: lexing, masking, understanding."""
