"""What no model can see by itself: whether the parts of a settings file fit together. A file a kind of misfit."""
