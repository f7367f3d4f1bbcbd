"""What follows from the changes, as pure functions: objects, fold, state map, settings, policy, context, deciding."""
