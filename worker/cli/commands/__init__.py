"""One file is one command; its folder is its panel in `slotgen --help`."""
