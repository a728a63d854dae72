"""What every MPD is written with, live or VOD: elements, AdaptationSets, timelines. Pure: values in, text out.

`xml` writes elements; `sets` says which Representations a player may switch between, and what their attributes are.
"""
