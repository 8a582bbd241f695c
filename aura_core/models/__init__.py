"""Models by reference: which files a name stands for, and how they are loaded."""
