"""The punctuation that more than one rule asks about, by code point where it is easily mistaken."""

# Straight ones, then the curly, the low and the pointed ones, and the signs that open a question in Spanish.
OPENING_QUOTES = "\"'\u201c\u2018\u201e\u00ab\u00bf\u00a1"
CLOSING_QUOTES = "\"'\u201d\u2019\u201c\u00bb"
DASHES = "\u2013\u2014"
# For a class of characters: scripts that set no blanks between words, so that signs touch letters there.
CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\uffef"
