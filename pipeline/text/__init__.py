"""Text: canonical form with offsets, undone disguises, words, lexicon classes."""
