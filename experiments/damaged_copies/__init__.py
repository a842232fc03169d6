"""Do the metrics detect what they are said to detect?"""
