"""Pages and figures for people: whole in one file, without scripts, and with every value escaped."""
