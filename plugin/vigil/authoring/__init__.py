"""For model authors and approvers."""
