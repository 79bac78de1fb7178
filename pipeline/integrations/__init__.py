"""loanlint inside other tools."""
