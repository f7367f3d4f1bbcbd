"""Who disciplines the machine's clock, and what each of them says of its error."""
