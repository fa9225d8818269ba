"""Data spaces: a release's terms as a connector or a platform takes them, and the folder that a person hands over."""
