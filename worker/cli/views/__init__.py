"""How results look on a screen, in a document and on a page."""
