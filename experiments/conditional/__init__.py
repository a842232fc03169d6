"""A DCGAN that is told the class against one that is not."""
