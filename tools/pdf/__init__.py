"""PDFs from strangers: their text, and which of it a reader would not see. `tools.pdf.text` is the entry."""
