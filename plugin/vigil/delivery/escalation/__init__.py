"""Who is told when nobody acknowledges: pure rules, and what the messages say."""
