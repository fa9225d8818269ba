"""What can be told from the pixels of small pictures: symbols and print on labels, tissue, pen and focus on thumbnails."""
