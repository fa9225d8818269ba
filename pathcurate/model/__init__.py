"""The nouns: frozen records that know no file and no engine."""
