"""Mode collapse: a plain GAN and its remedies on data whose modes can be counted."""
