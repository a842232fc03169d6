"""Do the metrics notice what they are said to notice?"""
