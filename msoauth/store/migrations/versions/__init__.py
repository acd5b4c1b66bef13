"""The revisions: one for each layout. What a revision makes is written out and never changed again."""
